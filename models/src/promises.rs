//! The table of promises: each sentence of the README's "What is promised", what can break it, and the edit of the code that
//! this is shown to notice.

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Promised {
    /// What it is called everywhere.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What the README says of it, behind its title.
    pub text: &'static str,
    /// What can break it.
    pub checks: &'static [Check],
}

/// Something that can break a promise.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What it is.
    pub by: By,
    /// The edit in `ci/mutations` that it is shown to notice. Campaigns are shown to notice the zoo's protocols instead.
    pub edit: Option<&'static str>,
}

/// Where a check is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A space of the exhaustive check, by what it is about.
    Space(&'static str),
    /// A test, by its file and its function.
    Test(&'static str, &'static str),
    /// A campaign with that fault.
    Campaign(&'static str),
}

const fn space(about: &'static str, edit: &'static str) -> Check {
    Check { by: By::Space(about), edit: Some(edit) }
}

const fn test(file: &'static str, name: &'static str, edit: &'static str) -> Check {
    Check { by: By::Test(file, name), edit: Some(edit) }
}

const fn campaign(fault: &'static str) -> Check {
    Check { by: By::Campaign(fault), edit: None }
}

const COPIES: &str = "core/tests/copies.rs";
const DESCRIPTORS: &str = "core/tests/descriptors.rs";
const BAD_INPUT: &str = "core/tests/bad_input.rs";
const JOURNAL: &str = "core/tests/journal.rs";
const JOINS: &str = "core/tests/joins.rs";
const ELECTION: &str = "core/tests/election.rs";
const TERMS: &str = "core/tests/terms.rs";
const SETBACKS: &str = "core/tests/setbacks.rs";
const NOTHING_STAYS: &str = "core/tests/nothing_stays.rs";
const FAILURES: &str = "core/tests/realtime_log/failures.rs";
const ENTRIES: &str = "core/tests/realtime_log/entries.rs";
const ROTATION: &str = "core/tests/realtime_log/rotation.rs";
const OTHERS: &str = "core/tests/realtime_log/others.rs";
const WORKING_DIRECTORY: &str = "core/tests/working_directory.rs";
const THREADS: &str = "models/tests/threads.rs";

/// All promises, in the README's order.
pub const PROMISES: &[Promised] = &[
    Promised {
        id: "S1",
        title: "Single primary",
        text: "At every moment at most one instance of a directory is primary, whatever the timing, stalls, crashes and forks, \
               and by whatever method it is asked. No delay carries safety.",
        checks: &[
            space("crashes and an event", "depose-without-probing"),
            space("crashes and an event", "register-before-the-seat"),
            space("entries over departures", "leave-the-seat-first"),
            space("entries over restarts", "empty-without-the-lock"),
            space("entries over restarts", "replace-without-the-lock"),
            space("entries over restarts", "replace-without-looking"),
            space("restarts that try a used ID", "remove-seats-first"),
            test(THREADS, "a_crash_at_any_call_leaves_one_primary_and_one_entry", "depose-without-probing"),
            test(COPIES, "a_copy_answers_at_once_and_is_never_primary", "ask-a-forked-copy"),
            test(COPIES, "a_copy_answers_at_once_and_is_never_primary", "answer-in-a-copy"),
            campaign("stall"),
            campaign("kill-at-call"),
            campaign("fork"),
        ],
    },
    Promised {
        id: "S2",
        title: "Fails closed",
        text: "Missing, malformed, foreign, newer or unreadable state, a reused ID, an I/O error: an error that names the path \
               and the remedy. Never \"I am primary\".",
        checks: &[
            space("failing and short calls", "primary-by-error"),
            space("restarts that try a used ID", "use-an-id-again"),
            test(BAD_INPUT, "ids_that_live_or_have_lived", "use-an-id-again"),
            test(JOURNAL, "a_record_with_a_changed_byte_is_none", "believe-any-checksum"),
            campaign("corrupt"),
            campaign("permissions"),
        ],
    },
    Promised {
        id: "S3",
        title: "Deterministic",
        text: "The primary of a term is the smallest of the IDs registered before its seal and not gone. Everyone who can read \
               the journal can recompute it.",
        checks: &[
            space("crashes and an event", "seal-elects-the-largest"),
            test(JOURNAL, "the_fold_reads_what_the_text_says", "seal-elects-the-largest"),
            campaign("late"),
        ],
    },
    Promised {
        id: "S4",
        title: "Stable",
        text: "A late, smaller ID does not unseat a living primary.",
        checks: &[
            space("a restart", "unseat-by-a-smaller-id"),
            test(JOURNAL, "no_suffix_changes_the_primary_of_a_term", "unseat-by-a-smaller-id"),
            campaign("late"),
        ],
    },
    Promised {
        id: "S5",
        title: "Terms rise",
        text: "over full restarts too, for as long as the directory exists, and so fence.",
        checks: &[
            space("one beginning after another", "begin-with-the-first-term"),
            test(TERMS, "over_full_restarts", "begin-with-the-first-term"),
            test(TERMS, "over_a_death_at_any_call_of_a_beginning", "begin-with-the-first-term"),
            campaign("restart"),
        ],
    },
    Promised {
        id: "L1",
        title: "Someone",
        text: "While an instance lives and runs, there is a primary within the window plus scheduling.",
        checks: &[
            space("failing and short calls, and deaths", "wait-for-all-that-are-expected"),
            test(JOINS, "whole_joins_follow_the_oracle", "wait-for-all-that-are-expected"),
            campaign("stop"),
        ],
    },
    Promised {
        id: "L2",
        title: "Failover",
        text: "When the primary dies, a survivor is primary about as fast as the kernel wakes a blocked lock. A full disk or an \
               I/O error at that moment ends no survivor: it tries again until that is over. No state of `realtime.log`, \
               however broken and for however long, keeps anybody from it.",
        checks: &[
            space("a log that fails for long", "log-before-the-seat"),
            space("a journal without space for long", "end-at-a-full-disk"),
            test(FAILURES, "a_broken_log_keeps_nobody_from_taking_over", "log-before-the-seat"),
            test(SETBACKS, "a_poll_tells_it_and_the_next_tries_again", "end-at-a-full-disk"),
            test(DESCRIPTORS, "no_program_that_is_started_inherits_one", "let-programs-inherit"),
            campaign("kill"),
            campaign("heir"),
            campaign("full"),
        ],
    },
    Promised {
        id: "E1",
        title: "Exactly one entry",
        text: "in all files of `realtime.log` together for every event that reached an instance which survives, or is succeeded \
               by one that also received it: none lost in the window, none doubled over a failover, a rotation, a death at any \
               call, a log that somebody removed or renamed; a torn line finished. `Recorded::Written` means: in a file that \
               the path or its rotations name.",
        checks: &[
            space("crashes and an event", "succeed-without-reading"),
            space("entries over failures, torn tails and departures", "leave-the-torn-tail"),
            space("a log that is rotated", "succeed-without-reading"),
            space("a log that is rotated under those that look for their events", "succeed-without-reading"),
            space("a log in others' hands", "write-to-a-log-that-was-renamed"),
            space("a rotated log in others' hands", "write-to-a-log-that-was-renamed"),
            test(ELECTION, "a_lone_instance_is_primary_and_writes", "record-what-is-known"),
            test(ENTRIES, "what_a_secondary_has_kept_is_completed_and_nothing_is_doubled", "write-ids-as-they-are"),
            test(ROTATION, "a_successor_reads_as_far_back_as_there_are_logs", "succeed-without-reading"),
            test(ROTATION, "a_secondary_forgets_by_bytes_too", "forget-by-count-alone"),
            test(
                FAILURES,
                "an_entry_that_could_not_be_synced_stays_until_it_is",
                "forget-an-entry-that-was-not-synced",
            ),
            test(
                FAILURES,
                "a_durable_log_is_synced_before_it_is_relied_on_and_so_are_its_names",
                "never-sync-an-entry",
            ),
            test(OTHERS, "torn_lines", "leave-the-torn-tail"),
            test(OTHERS, "a_log_that_is_renamed", "write-to-a-log-that-was-renamed"),
            test(THREADS, "what_one_thread_does_another_sees_in_order", "succeed-without-reading"),
            campaign("kill-at-call"),
            campaign("full"),
        ],
    },
    Promised {
        id: "E2",
        title: "What is others' stays",
        text: "No line, file or directory of somebody else is cut, overwritten, renamed or removed.",
        checks: &[
            space("others' lines and short writes", "leave-the-torn-tail"),
            test(
                ROTATION,
                "a_rotation_takes_the_number_after_the_highest_and_replaces_nothing",
                "rotate-over-another-file",
            ),
            test(ROTATION, "only_logs_of_ours_are_removed", "remove-the-files-of-others"),
            campaign("corrupt"),
        ],
    },
    Promised {
        id: "B1",
        title: "Bounded",
        text: "`poll` never blocks and does a bounded amount of work; after `leave` or drop nothing remains: no thread, \
               descriptor, memory.",
        checks: &[
            test(FAILURES, "a_call_does_a_bounded_amount_of_work", "one-call-does-everything"),
            test(NOTHING_STAYS, "of_two_hundred_that_wait_and_leave", "keep-what-waited"),
        ],
    },
    Promised {
        id: "P1",
        title: "The same files",
        text: "Whatever becomes of the working directory, and where the election directory or the journal is moved, removed or \
               replaced, no other files are touched, and it is noticed before the next entry.",
        checks: &[
            space("a journal and a directory in others' hands", "write-over-another-journal"),
            test(OTHERS, "a_directory_that_is_replaced", "write-over-another-journal"),
            test(WORKING_DIRECTORY, "a_working_directory_that_changes_changes_no_path", "follow-the-working-directory"),
            campaign("unlink"),
        ],
    },
];
