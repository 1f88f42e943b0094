"use strict";
// The tools above the list of documents: find, show, order, open and close. Without this script
// the page is complete, only still. Nothing here makes markup out of text.
(() => {
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), find = byId("find"), show = byId("show"), order = byId("order"), shown = byId("shown");
  const documents = Array.from(list.children, (node, place) => ({ node, place, name: node.querySelector("h3").textContent }));
  if (documents.length < 2) return;

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

  function choose() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const entry of documents) {
      const good = shows[show.value](entry) && (words.length === 0 || words.every((word) => textOf(entry).includes(word)));
      if (entry.node.hidden === good) entry.node.hidden = !good;
      count += good ? 1 : 0;
    }
    shown.textContent = count === documents.length ? "" : `${count.toLocaleString("en")} of ${documents.length.toLocaleString("en")}`;
  }

  function arrange() {
    documents.sort((a, b) => orders[order.value](a, b) || a.place - b.place);
    const all = document.createDocumentFragment();
    for (const entry of documents) all.append(entry.node);
    list.append(all);
  }

  function open(wanted) {
    for (const entry of documents) if (!entry.node.hidden) entry.node.open = wanted;
  }

  let timer;
  find.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(choose, documents.length > 2000 ? 300 : 60);
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
    closed = documents.filter((entry) => !entry.node.open);
    for (const entry of closed) entry.node.open = true;
  });
  addEventListener("afterprint", () => {
    for (const entry of closed) entry.node.open = false;
  });
})();
