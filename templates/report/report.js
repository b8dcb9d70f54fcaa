"use strict";
(function () {
  const list = document.getElementById("list");
  if (!list) return;
  const PAGE = 50;
  const PRINTED = 1000;
  const data = JSON.parse(document.getElementById("rows").textContent);
  const body = list.tBodies[0];
  const headings = Array.from(list.tHead.rows[0].cells);
  const filter = document.getElementById("filter");
  const selects = Array.from(document.querySelectorAll("select"));
  const byId = (id) => document.getElementById(id);
  const shownColumns = ["who", "department", "wrong", "day", "told", "next"];
  const sortedBy = { told: "told_at", next: "next_on" };
  const quiet = new Set(["department", "told", "next"]);
  const cell = (column, row) => (column.at ? column.values[column.at[row]] : column.values[row]);
  const shown = (name, row) => cell(data.shown[name], row);

  /* Sorting: each column is put in order once, the empty ones last. */
  const orders = {};
  const key = (text) =>
    text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/\d+/g, (digits) => digits.padStart(12, "0"));
  function order(name) {
    if (orders[name]) return orders[name];
    const column = data.shown[sortedBy[name] || name];
    const keys = column.values.map(key);
    const by = Array.from(keys.keys()).sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0));
    const rank = new Int32Array(keys.length);
    by.forEach((value, n) => { rank[value] = n && keys[value] === keys[by[n - 1]] ? rank[by[n - 1]] : n; });
    const ranks = new Int32Array(data.rows);
    for (let row = 0; row < data.rows; row += 1) ranks[row] = rank[column.at ? column.at[row] : row];
    const full = [];
    const empty = [];
    for (let row = 0; row < data.rows; row += 1) (cell(column, row) ? full : empty).push(row);
    const up = full.slice().sort((a, b) => ranks[a] - ranks[b] || a - b);
    const down = full.sort((a, b) => ranks[b] - ranks[a] || a - b);
    orders[name] = { ascending: up.concat(empty), descending: down.concat(empty) };
    return orders[name];
  }

  /* Searching: every word, or "several words", must stand somewhere in the row. */
  let hay = null;
  function heap() {
    if (hay) return hay;
    const columns = Object.values(data.shown).concat(data.file.columns).map((column) => {
      const lower = column.values.map((value) => value.toLowerCase());
      return { values: lower, at: column.at };
    });
    hay = new Array(data.rows);
    for (let row = 0; row < data.rows; row += 1) {
      let text = "";
      for (const column of columns) text += cell(column, row) + "\n";
      hay[row] = text;
    }
    return hay;
  }
  const wanted = (text) =>
    Array.from(text.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g), (found) => found[1] || found[2]);

  let sort = null;
  let rows = [];
  let page = 0;
  let only = null;
  const file = (name) => data.file.columns[data.file.names.indexOf(name)];
  const destination = file("destination");
  const atCutoff = file("at_cutoff");
  const stuck = (row) => cell(destination, row) === "no";
  function choose() {
    const words = wanted(filter.value);
    const texts = words.length ? heap() : null;
    const chosen = selects.filter((select) => select.value !== "*").map((select) => [data.shown[select.dataset.column], select.value]);
    const all = sort ? order(sort.name)[sort.way] : Array.from({ length: data.rows }, (_, row) => row);
    rows = all.filter((row) =>
      chosen.every(([column, value]) => cell(column, row) === value) &&
      (!only || only(row)) &&
      words.every((word) => texts[row].includes(word)));
    page = 0;
    draw();
  }

  function made(tag, text, className) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    if (className) element.className = className;
    return element;
  }
  function drawn(row) {
    const line = made("tr");
    shownColumns.forEach((name, n) => {
      const at = made(n ? "td" : "th", n ? shown(name, row) : "", (quiet.has(name) ? "more" : "") + (name === "next" ? " moment" : ""));
      if (!n) {
        at.scope = "row";
        const button = made("button", shown("who", row) || shown("username", row));
        button.type = "button";
        button.setAttribute("aria-expanded", "false");
        button.addEventListener("click", () => open(line, button, row));
        const marks = shown("marks", row);
        at.append(button, made("span", shown("username", row) + (marks ? " · " + marks : ""), "note"));
      }
      line.append(at);
    });
    return line;
  }
  function open(line, button, row) {
    const is = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!is));
    if (is) {
      line.nextSibling.remove();
      return;
    }
    const facts = made("dl");
    data.file.names.forEach((name, n) => {
      const value = cell(data.file.columns[n], row);
      if (!value) return;
      const pair = made("div");
      pair.append(made("dt", name.replace(/_/g, " ")), made("dd", value));
      facts.append(pair);
    });
    const detail = made("tr", "", "detail");
    const wide = made("td");
    wide.colSpan = shownColumns.length;
    wide.append(facts);
    detail.append(wide);
    line.after(detail);
  }
  const grouped = (number) => number.toLocaleString("en");
  function draw(most) {
    const first = most ? 0 : page * PAGE;
    const part = rows.slice(first, first + (most || PAGE));
    body.replaceChildren(...part.map(drawn));
    byId("shown").textContent = rows.length
      ? grouped(first + 1) + "–" + grouped(first + part.length) + " of " + grouped(rows.length) + (rows.length === data.rows ? "" : " found, of " + grouped(data.rows))
      : "Nobody is found, of " + grouped(data.rows) + ".";
    byId("back").disabled = page === 0;
    byId("on").disabled = first + part.length >= rows.length;
    byId("all").hidden = rows.length === data.rows;
  }

  headings.forEach((heading) => {
    heading.querySelector("button").addEventListener("click", () => {
      const way = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", way);
      sort = { name: heading.dataset.column, way };
      choose();
    });
  });
  let waiting = 0;
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    only = null;
    waiting = setTimeout(choose, 120);
  });
  selects.forEach((select) => {
    const column = data.shown[select.dataset.column];
    const counts = new Map();
    for (let row = 0; row < data.rows; row += 1) {
      const value = cell(column, row);
      counts.set(value, (counts.get(value) || 0) + 1);
    }
    const option = (value, text) => {
      const element = made("option", text);
      element.value = value;
      return element;
    };
    select.append(option("*", "all"));
    for (const [value, count] of Array.from(counts).sort((a, b) => b[1] - a[1]).slice(0, 500)) {
      select.append(option(value, (value || (select.dataset.column === "marks" ? "ordinary" : "(none)")) + " (" + grouped(count) + ")"));
    }
    select.addEventListener("change", choose);
  });
  byId("back").addEventListener("click", () => { page -= 1; draw(); });
  byId("on").addEventListener("click", () => { page += 1; draw(); });

  byId("all").addEventListener("click", () => {
    selects.forEach((select) => { select.value = "*"; });
    filter.value = "";
    only = null;
    choose();
  });

  /* What is shown, to be taken along: cells of action-list.csv, which no spreadsheet runs as a formula. */
  const quoted = (text) => (/[",\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text);
  const lines = (between, write) =>
    [data.file.names].concat(rows.map((row) => data.file.columns.map((column) => cell(column, row))))
      .map((line) => line.map(write).join(between)).join("\n") + "\n";
  byId("save").addEventListener("click", () => {
    const link = made("a");
    link.href = URL.createObjectURL(new Blob([lines(",", quoted)], { type: "text/csv" }));
    link.download = "action-list-shown.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  byId("copy").addEventListener("click", () => {
    const area = made("textarea");
    area.value = lines("\t", (text) => text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    byId("copy").textContent = "Copied";
    setTimeout(() => { byId("copy").textContent = "Copy what is shown"; }, 2000);
  });

  /* From the tables above into the list. */
  function show() {
    choose();
    byId("actions").scrollIntoView();
    filter.focus({ preventScroll: true });
  }
  document.querySelectorAll(".show").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => {
      const of = button.dataset;
      selects.forEach((select) => { select.value = "*"; });
      filter.value = "";
      only = null;
      if (of.marked) only = (row) => shown("marks", row) !== "";
      if (of.harm) only = (row) => (of.harm === "no_destination" ? stuck(row) : !stuck(row) && cell(atCutoff, row) === of.harm);
      if (of.choose) selects.find((select) => select.dataset.column === of.choose).value = of.value === "(none)" ? "" : of.value;
      show();
    });
  });

  window.addEventListener("beforeprint", () => draw(PRINTED));
  window.addEventListener("afterprint", () => draw());
  document.querySelectorAll(".unscripted").forEach((text) => { text.hidden = true; });
  byId("tools").hidden = false;
  byId("pager").hidden = false;
  choose();
})();
