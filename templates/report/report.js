"use strict";
(function () {
  const table = document.getElementById("list");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase()]));
  const headings = Array.from(table.tHead.rows[0].cells);
  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const number = heading.classList.contains("number");
      rows.sort((one, two) => {
        const a = one.cells[column].textContent;
        const b = two.cells[column].textContent;
        if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
        const order = number ? Number(a) - Number(b) : words.compare(a, b);
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });

  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = texts.get(row);
      row.hidden = !wanted.every((word) => text.includes(word));
      if (!row.hidden) count += 1;
    }
    shown.textContent = count.toLocaleString("en") + (count === 1 ? " row" : " rows");
  });
})();
