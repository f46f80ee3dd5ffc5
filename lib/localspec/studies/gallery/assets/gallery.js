(() => {
  for (const root of document.querySelectorAll(".lsg:not([data-ready])")) {
    root.dataset.ready = "";
    const body = root.querySelector("tbody");
    const rows = [...body.rows];
    const place = new Map(rows.map((row, index) => [row, index]));
    const filters = [...root.querySelectorAll("[data-filter]")];
    const buttons = [...root.querySelectorAll("button[data-key]")];
    const count = root.querySelector("output");
    const size = root.querySelector("input[type=range]");

    const passes = (row, filter) => {
      const has = row.dataset[filter.dataset.filter];
      if (filter.tagName === "SELECT") return !filter.value || has === filter.value;
      const text = has.toLowerCase();
      const found = [...text.split(/\s+/), ...text.split(/[\s/-]+/)];
      const fits = (word) => (one) => (/^\d+$/.test(word) ? one === word : one.startsWith(word));
      return filter.value.toLowerCase().split(/\s+/).every((word) => !word || found.some(fits(word)));
    };
    const filter = () => {
      for (const row of rows) row.hidden = !filters.every((one) => passes(row, one));
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = `${shown} of ${rows.length} subclusters`;
    };

    const number = (row, key) => {
      const text = row.getAttribute(`data-${key}`);
      return text ? Number(text) : null; // null: undefined, always last
    };
    const compare = (key, sign) => (one, other) => {
      const [a, b] = [number(one, key), number(other, key)];
      if (a === null || b === null) return (a === null) - (b === null) || place.get(one) - place.get(other);
      return sign * (a - b) || place.get(one) - place.get(other);
    };
    const sort = (button, direction) => {
      for (const other of buttons) {
        delete other.dataset.direction;
        other.setAttribute("aria-pressed", "false");
        other.closest("th").setAttribute("aria-sort", "none");
      }
      button.dataset.direction = direction;
      button.setAttribute("aria-pressed", "true");
      button.closest("th").setAttribute("aria-sort", direction);
      body.append(...[...rows].sort(compare(button.dataset.key, direction === "ascending" ? 1 : -1)));
    };
    for (const button of buttons) {
      const other = { ascending: "descending", descending: "ascending" };
      button.addEventListener("click", () => {
        const now = button.dataset.direction;
        sort(button, now ? other[now] : button.dataset.first);
      });
    }

    const clear = () => {
      for (const one of filters) one.value = "";
      filter();
    };
    for (const one of filters) one.addEventListener("input", filter);
    root.querySelector("button[data-clear]").addEventListener("click", () => {
      clear();
      sort(buttons[0], "ascending");
    });
    size?.addEventListener("input", () => root.style.setProperty("--scale", size.value));

    const go = () => {
      const row = rows.find((one) => one.id === location.hash.slice(1));
      if (!row) return;
      if (row.hidden) clear();
      row.scrollIntoView();
    };
    window.addEventListener("hashchange", go);
    sort(buttons[0], "ascending");
    clear(); // browsers keep what was chosen before a reload
    go();
  }
})();
