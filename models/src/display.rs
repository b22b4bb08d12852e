//! How progress is shown: the same for every command of every program here.

use std::io::IsTerminal as _;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// A bar that moves.
    Bar,
    /// A line now and then.
    Lines,
}

impl Display {
    /// What standard error and the environment ask for.
    #[must_use]
    pub fn of_stderr() -> Self {
        display(std::io::stderr().is_terminal(), |name| std::env::var(name).ok())
    }
}

/// What a terminal, if it is one, and the environment ask for.
fn display(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Display {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if is_terminal && !is_set("CI") && !is_set("NO_COLOR") && variable("TERM").as_deref() != Some("dumb") {
        Display::Bar
    } else {
        Display::Lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_for_terminals_that_want_it() {
        let check = |is_terminal, variables: &[(&str, &str)], expected| {
            let variable =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(display(is_terminal, variable), expected, "{is_terminal} {variables:?}");
        };
        check(true, &[], Display::Bar);
        check(true, &[("TERM", "xterm"), ("CI", ""), ("NO_COLOR", "")], Display::Bar);
        check(true, &[("TERM", "dumb")], Display::Lines);
        check(true, &[("CI", "true")], Display::Lines);
        check(true, &[("NO_COLOR", "1")], Display::Lines);
        check(false, &[], Display::Lines);
    }
}
