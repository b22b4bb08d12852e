//! A counterexample as one page that needs nothing from elsewhere: the lanes, and what holds at the step one looks at.

use std::fmt::Write as _;

use serde::Serialize;
use single_primary::call::Mode;

use crate::markup::escaped;
use crate::participant::Belief;
use crate::story::lanes::{colours, heads, lanes, width};
use crate::story::{Step, Story, phrase};

/// The page, as HTML.
#[must_use]
pub fn page(story: &Story) -> String {
    let legend = colours(story).into_iter().fold(String::new(), |mut legend, (name, colour)| {
        let _ = write!(legend, "<li><i class=c{colour}></i>holds the lock of {}</li>", escaped(name));
        legend
    });
    let is_shared = |step: &Step| step.locks.iter().any(|(.., mode)| *mode == Mode::Shared);
    let dashed = if story.steps.iter().any(is_shared) { "<li>dashed: a shared lock</li>" } else { "" };
    let known = story.broken_by.iter().fold(String::new(), |known, broken_by| {
        known + &format!("<p>What is known to break it: {}.</p>\n", escaped(broken_by))
    });
    format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n\
         <meta name=color-scheme content=\"light dark\">\n\
         <title>{name}: a counterexample</title>\n<style>{style}</style>\n\
         <h1>How <em>{name}</em> fails</h1>\n<p class=why><b>{why}.</b> {breaking}</p>\n\
         <p>The protocol: {summary}.</p>\n{known}\
         <p>Each lane is one instance, under its ID, and time goes down: a numbered box is one step, most often one system \
         call with what it returned. Between two steps of one instance, others may take as many as they like: this is an \
         order that the operating system is free to choose. <span class=keys>Step through it with the arrow keys, or \
         choose a step.</span></p>\n\
         <ul class=legend><li><i class=primary></i>believes to be primary</li><li><i class=secondary></i>believes that \
         another is</li><li><i class=failed></i>has failed</li>{legend}{dashed}</ul>\n\
         <div class=scene tabindex=0><div style=\"width:{width}px\"><div class=heads>{heads}</div>\n{lanes}</div></div>\n\
         <section class=now hidden><nav><button data-go=first>first</button><button data-go=back>◂ back</button>\
         <output></output><button data-go=on>on ▸</button><button data-go=last>last</button></nav>\
         <p class=did></p><div class=state></div></section>\n\
         <script type=\"application/json\" id=steps>{steps}</script>\n<script>{script}</script>\n</html>\n",
        name = escaped(&story.protocol),
        why = escaped(&story.why),
        breaking = breaking(story),
        summary = escaped(&story.summary),
        style = include_str!("page.css"),
        script = include_str!("page.js"),
        width = width(story),
        heads = heads(story),
        lanes = lanes(story),
        steps = steps(story),
    )
}

/// Where the promise breaks, and who is what then, as HTML.
fn breaking(story: &Story) -> String {
    let Some(step) = story.steps.last() else { return String::new() };
    let what = if step.to_all {
        step.what.clone()
    } else {
        format!("{} {}", story.instances[usize::from(step.instance)], step.what)
    };
    let is_primary = |(_, belief): &(&String, &Belief)| matches!(belief, Belief::Primary { .. });
    let primaries: Vec<_> =
        story.instances.iter().zip(&step.beliefs).filter(is_primary).map(|(name, _)| name.as_str()).collect();
    let then = match primaries[..] {
        [] => "nobody believes to be primary".to_owned(),
        [one] => format!("{} believes to be primary", escaped(one)),
        _ => format!("{} believe to be primary", escaped(&primaries.join(" and "))),
    };
    let number = story.steps.len();
    format!("It breaks at <a href=\"#step-{number}\">step {number}</a>, when {}: from then on {then}.", escaped(&what))
}

/// What the page's script shows of a step.
#[derive(Serialize)]
struct Shown<'a> {
    who: &'a str,
    what: &'a str,
    result: &'a str,
    instances: Vec<ShownInstance<'a>>,
    files: &'a [(String, String)],
}

#[derive(Serialize)]
struct ShownInstance<'a> {
    name: &'a str,
    belief: String,
    class: &'static str,
    locks: Vec<String>,
}

/// The steps for the page's script, so written that no end of a script can be in them.
fn steps(story: &Story) -> String {
    let shown: Vec<_> = story.steps.iter().map(|step| shown(story, step)).collect();
    serde_json::to_string(&shown).expect("text and numbers are JSON").replace('<', "\\u003c")
}

fn shown<'a>(story: &'a Story, step: &'a Step) -> Shown<'a> {
    let instances = (0_u8..).zip(story.instances.iter().zip(&step.beliefs)).map(|(instance, (name, belief))| {
        let own = step.locks.iter().filter(|(owner, ..)| *owner == instance);
        let locks =
            own.map(|(_, name, mode)| if *mode == Mode::Shared { format!("{name} (shared)") } else { name.clone() });
        ShownInstance { name, belief: phrase::belief(belief), class: class(belief), locks: locks.collect() }
    });
    Shown {
        who: if step.to_all { "all" } else { &story.instances[usize::from(step.instance)] },
        what: &step.what,
        result: &step.result,
        instances: instances.collect(),
        files: &step.files,
    }
}

fn class(belief: &Belief) -> &'static str {
    match belief {
        Belief::Primary { .. } => "primary",
        Belief::Secondary => "secondary",
        Belief::Failed(_) => "failed",
        Belief::Undecided | Belief::Left => "",
    }
}
