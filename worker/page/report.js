"use strict";
// The tools above the list of documents: find, show, order, open and close. Without this script
// the page is complete, only still. Nothing here makes markup out of text.
(() => {
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), find = byId("find"), show = byId("show"), order = byId("order"), shown = byId("shown");
  const parts = Array.from(list.children);
  if (list.querySelectorAll(".doc:nth-child(-n+2)").length < 2) return;

  // Made when it is needed first: a page of 40,000 documents opens without it.
  let documents;
  function load() {
    documents ??= Array.from(list.querySelectorAll(".doc"), (node, place) => ({ node, place, name: node.querySelector("h3").textContent }));
    return documents;
  }

  const number = (entry, name) => Number(entry.node.dataset[name] || 0);
  const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const orders = {
    name: (a, b) => names.compare(a.name, b.name),
    warnings: (a, b) => number(b, "warnings") + number(b, "missing") - number(a, "warnings") - number(a, "missing"),
    cost: (a, b) => number(b, "cost") - number(a, "cost"),
    took: (a, b) => number(b, "took") - number(a, "took"),
    ended: (a, b) => number(b, "ended") - number(a, "ended"),
  };
  const shows = {
    "": () => true,
    done: (entry) => entry.node.dataset.state === "done",
    warned: (entry) => number(entry, "warnings") > 0,
    missing: (entry) => number(entry, "missing") > 0,
    failed: (entry) => entry.node.dataset.state !== "done",
  };

  function textOf(entry) {
    if (entry.text === undefined) entry.text = entry.node.textContent.toLowerCase();
    return entry.text;
  }

  // A browser leaves the parts out of sight alone, at the height that a full one has. So what is shown fills the first
  // ones, and the last of them and what is hidden take the height that they need.
  function fill() {
    const wanted = documents.filter((entry) => !entry.node.hidden).concat(documents.filter((entry) => entry.node.hidden));
    const visible = wanted.findIndex((entry) => entry.node.hidden);
    const end = visible < 0 ? wanted.length : visible;
    const size = Math.ceil(wanted.length / parts.length);
    parts.forEach((part, n) => {
      part.replaceChildren(...wanted.slice(n * size, (n + 1) * size).map((entry) => entry.node));
      part.hidden = n * size >= end;
      part.className = (n + 1) * size <= end && parts.length > 1 ? "part" : "few";
    });
  }

  function choose() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const entry of load()) {
      const good = shows[show.value](entry) && (words.length === 0 || words.every((word) => textOf(entry).includes(word)));
      entry.node.hidden = !good;
      count += good ? 1 : 0;
    }
    shown.textContent = count === documents.length ? "" : `${count.toLocaleString("en")} of ${documents.length.toLocaleString("en")}`;
    fill();
  }

  function arrange() {
    load().sort((a, b) => orders[order.value](a, b) || a.place - b.place);
    fill();
  }

  function open(wanted) {
    for (const entry of load()) if (!entry.node.hidden) entry.node.open = wanted;
  }

  let timer;
  find.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(choose, parts.length > 20 ? 300 : 60);
  });
  show.addEventListener("change", choose);
  order.addEventListener("change", arrange);
  byId("open").addEventListener("click", () => open(true));
  byId("close").addEventListener("click", () => open(false));
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("tools").hidden = false;

  // On paper everything is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = load().filter((entry) => !entry.node.open);
    for (const entry of closed) entry.node.open = true;
  });
  addEventListener("afterprint", () => {
    for (const entry of closed) entry.node.open = false;
  });
})();
