
"use strict";
const steps = JSON.parse(document.getElementById("steps").textContent);
const groups = [...document.querySelectorAll(".step")];
const panel = document.querySelector(".now");
const last = steps.length - 1;
let at = last;

const element = (name, text, className) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
};

const table = (heads, rows) => {
  const made = document.createElement("table");
  const row = (cells) => {
    const line = document.createElement("tr");
    line.append(...cells);
    return line;
  };
  made.append(row(heads.map((head) => element("th", head))), ...rows.map(row));
  return made;
};

const show = (step, scrolls) => {
  at = Math.max(0, Math.min(last, step));
  const { who, what, result, instances, files } = steps[at];
  groups.forEach((group, index) => {
    group.classList.toggle("here", index === at);
    group.classList.toggle("later", index > at);
  });
  panel.querySelector("output").textContent = `step ${at + 1} of ${steps.length}`;
  const did = panel.querySelector(".did");
  did.replaceChildren(element("b", who), ` ${what}`, element("span", result ? ` → ${result}` : ""));
  const believes = table(
    ["instance", "believes", "holds the lock of"],
    instances.map(({ name, belief, class: className, locks }) => [
      element("td", name),
      element("td", belief, className),
      element("td", locks.join(", ") || "–"),
    ]),
  );
  const says = table(
    ["file", "says"],
    files.map(([name, text]) => {
      const cell = document.createElement("td");
      cell.append(element("pre", text || "(nothing)"));
      return [element("td", name), cell];
    }),
  );
  panel.querySelector(".state").replaceChildren(believes, ...(files.length ? [says] : []));
  for (const button of panel.querySelectorAll("button")) {
    button.disabled = ["first", "back"].includes(button.dataset.go) ? at === 0 : at === last;
  }
  if (!scrolls) return;
  // What the panel covers is not in view.
  document.documentElement.style.scrollPaddingBottom = `${panel.offsetHeight + 8}px`;
  groups[at].scrollIntoView({ block: "nearest", inline: "nearest" });
};

const go = { first: () => 0, back: () => at - 1, on: () => at + 1, last: () => last };
const keys = { ArrowUp: "back", ArrowLeft: "back", ArrowDown: "on", ArrowRight: "on", Home: "first", End: "last" };

panel.addEventListener("click", ({ target }) => {
  if (target.dataset.go) show(go[target.dataset.go](), true);
});
document.addEventListener("keydown", (event) => {
  const key = keys[event.key];
  if (!key || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  show(go[key](), true);
});
groups.forEach((group, index) => group.addEventListener("click", () => show(index, true)));

// A link to a step, from the page or with its address.
const follow = () => {
  const asked = /^#step-(\d+)$/.exec(location.hash);
  show(asked ? Number(asked[1]) - 1 : last, Boolean(asked));
};
window.addEventListener("hashchange", follow);

panel.hidden = false;
follow();
