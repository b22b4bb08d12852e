//! Calls by which lock protocols stand or fall, picked by hand. Every instance has the election directory open.

/// What a case is about, and its calls.
pub(crate) const CASES: &[(&str, &str)] = &[
    (
        "two descriptions of one instance",
        "0 open A x append
         0 open B x append
         0 lock A exclusive
         0 lock B shared
         0 close A
         0 lock B shared
         0 lock B exclusive
         0 unlock B
         0 unlock A
         0 close A",
    ),
    (
        "a refused conversion loses the lock",
        "0 open A x append
         1 open A x append
         2 open A x read
         0 lock A shared
         1 lock A shared
         0 lock A exclusive
         1 close-all
         2 lock A exclusive
         0 lock A shared",
    ),
    (
        "unlinked, and made again",
        "0 open A x append
         0 lock A exclusive
         0 append A one
         1 remove x
         1 remove x
         0 inspect A
         1 open A x append
         1 lock A exclusive
         1 inspect A
         1 look x
         0 read A 0 10
         1 read A 0 10",
    ),
    (
        "renamed over another",
        "0 open A x append
         0 append A x
         1 open A y append
         1 append A yy
         0 rename x y
         0 inspect A
         1 inspect A
         2 look x
         2 look y
         0 rename x y
         0 rename y y
         0 list",
    ),
    (
        "what appends and truncates",
        "0 open A journal append
         1 open A journal append
         2 open A journal read
         0 append A one
         1 append A two
         2 read A 0 64
         2 append A no
         2 truncate A 0
         0 truncate A 4
         1 append A !
         1 truncate A 9
         2 read A 2 64
         2 read A 99 1
         2 sync A
         2 sync B
         2 inspect B",
    ),
    (
        "exclusive creation",
        "0 create A x
         1 create A x
         1 inspect A
         0 append A x
         1 remove x
         1 create A x
         0 modified x
         0 modified z",
    ),
    (
        "directories as locks",
        "0 mkdir d
         1 mkdir d
         1 remove d
         0 open A d append
         0 open A d read
         0 read A 0 1
         0 open B d directory
         1 rmdir d
         1 rmdir d
         0 open A x append
         0 rmdir x
         0 open B x directory
         0 mkdir x",
    ),
    (
        "seats and their list",
        "0 open seat a.seat append
         0 open A b.seat append
         0 open B .hidden.seat append
         1 list-seats
         1 list
         1 open rival a.seat read
         0 lock seat exclusive
         1 lock rival shared
         0 close-all
         1 lock rival shared",
    ),
    (
        "record locks are the process's",
        "0 open A x append
         1 open A x append
         2 open A x append
         0 record-lock A
         1 record-lock A
         2 record-lock A
         0 record-lock A
         2 record-lock B",
    ),
    (
        "a record lock goes with any handle of the file",
        "0 open A x append
         0 open B x read
         2 open A x append
         0 record-lock A
         2 record-lock A
         0 close B
         2 record-lock A
         0 record-lock A",
    ),
    (
        "a record lock goes when another instance of the process closes the file",
        "0 open A x append
         1 open A x append
         2 open A x append
         0 record-lock A
         1 close-all
         2 record-lock A
         0 record-lock A",
    ),
    (
        "a handle that is used again gives the record lock up",
        "0 open A x append
         1 open A x append
         2 open A x append
         0 record-lock A
         0 open A y append
         2 record-lock A
         1 record-lock A",
    ),
    (
        "record locks stay with the file, whatever its name",
        "0 open A x append
         0 record-lock A
         1 rename x y
         2 open A x append
         2 record-lock A
         2 open B y append
         2 record-lock B
         0 remove y
         2 record-lock B
         0 close A
         2 record-lock B",
    ),
    (
        "record locks and others do not see each other",
        "0 open A x append
         2 open A x append
         0 lock A exclusive
         2 record-lock A
         0 record-lock A
         2 lock A shared
         0 unlock A
         2 lock A exclusive
         0 record-lock A",
    ),
    (
        "a record lock needs a handle that may write",
        "0 open A x append
         2 open A x read
         2 record-lock A
         0 record-lock A
         2 record-lock A",
    ),
    (
        "death frees every lock",
        "0 open A x append
         0 open B y append
         2 open A x append
         2 open B y append
         0 lock A exclusive
         0 record-lock B
         2 lock A exclusive
         2 record-lock B
         0 die
         2 lock A exclusive
         2 record-lock B",
    ),
    (
        "death frees a shared lock among others",
        "0 open A x append
         1 open A x append
         2 open A x append
         0 lock A shared
         1 lock A shared
         2 lock A shared
         0 die
         2 lock A exclusive
         1 die
         2 lock A exclusive",
    ),
    (
        "what the dead have written stays, and a file without a name goes with them",
        "0 open A x append
         0 append A one
         0 open B y append
         0 lock B exclusive
         0 remove y
         0 die
         2 open A x append
         2 read A 0 9
         2 look y
         2 open B y append
         2 lock B exclusive",
    ),
    (
        "a process that comes after a death has nothing of it",
        "0 open A x append
         0 record-lock A
         0 die
         0 inspect A
         0 inspect directory
         0 open directory . directory
         0 open A x append
         0 lock A exclusive
         0 record-lock A
         2 open A x append
         2 record-lock A
         2 lock A shared",
    ),
    (
        "processes",
        "0 getpid
         2 getpid
         0 is-alive #0
         0 is-alive #2
         2 die
         0 is-alive #2
         2 getpid
         0 is-alive #2
         0 is-alive 2147483647",
    ),
    (
        "logs",
        "0 open log realtime.log.1 read
         0 open log realtime.log append
         0 append log e
         0 close log
         0 rename realtime.log realtime.log.1
         0 rename realtime.log realtime.log.1
         0 open log realtime.log append
         1 open log realtime.log.1 read
         1 read log 0 64
         0 look realtime.log.1
         0 file-system directory
         0 file-system B
         0 look .",
    ),
    (
        "logs that are numbered",
        "0 list-logs
         0 open log realtime.log append
         0 append log one
         0 rename-new realtime.log realtime.log.1
         0 inspect log
         0 open log realtime.log append
         0 append log two
         0 rename-new realtime.log realtime.log.1
         0 rename-new realtime.log realtime.log.10
         0 rename-new realtime.log realtime.log.11
         0 rename-new realtime.log.1 realtime.log.1
         0 open A realtime.log.07 append
         0 open A realtime.log.0 append
         0 open A realtime.log.x append
         0 open A realtime.log.4294967296 append
         1 list-logs
         1 open log realtime.log.1 read
         1 read log 0 64
         1 open log realtime.log.10 read
         1 read log 0 64
         0 remove realtime.log.1
         1 list-logs
         1 read log 0 64
         1 sync-log-directory",
    ),
    (
        "paths and the opened directory",
        "0 open A journal append
         0 look journal
         0 look-by-path journal
         0 look-by-path .
         0 close-all
         0 look journal
         0 look-by-path journal
         0 look-by-path realtime.log
         0 list-logs
         0 sync-log-directory",
    ),
    (
        "a handle that is used again",
        "0 open A x append
         0 lock A exclusive
         0 open A x append
         1 open A x append
         1 lock A exclusive
         0 open 9 z append
         0 inspect 9
         0 look z",
    ),
    (
        "without the directory open",
        "0 close-all
         0 open A x append
         0 list-seats
         0 list
         0 look journal
         0 make-election
         0 look .",
    ),
];
