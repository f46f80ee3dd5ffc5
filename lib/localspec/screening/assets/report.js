(() => {
  const PER_PAGE = 24;
  const root = document.querySelector(".lsr.page");
  const box = root.querySelector(".cards");
  if (!box) return;
  root.dataset.ready = "";
  const cards = [...box.children];
  const place = new Map(cards.map((card, index) => [card, index]));
  const filters = [...root.querySelectorAll("[data-filter]")];
  const order = root.querySelector("[data-sort]");
  const outputs = root.querySelectorAll(".pager output");
  const steps = [...root.querySelectorAll(".pager button")];
  let chosen = cards, page = 0;

  const passes = (card, filter) => {
    const has = card.dataset[filter.dataset.filter];
    if (filter.type === "checkbox") return !filter.checked || has !== "0";
    if (filter.tagName === "SELECT") return !filter.value || has === filter.value;
    const words = card.querySelector("header").textContent.toLowerCase().split(/[\s,]+/);
    return filter.value.toLowerCase().split(/\s+/).every((word) => !word || words.some((one) => one.startsWith(word)));
  };
  const key = (card) => {
    const text = card.getAttribute(`data-${order.value}`);
    return text === "" ? null : Number(text); // null: undefined, always last
  };
  const show = () => {
    const first = page * PER_PAGE, last = Math.min(first + PER_PAGE, chosen.length);
    const visible = new Set(chosen.slice(first, last));
    for (const card of cards) card.hidden = !visible.has(card);
    for (const output of outputs) {
      output.textContent = chosen.length ? `groups ${first + 1} to ${last} of ${chosen.length}` : "no group passes";
    }
    for (const step of steps) {
      const next = page + Number(step.dataset.step);
      step.disabled = next < 0 || next * PER_PAGE >= chosen.length;
    }
  };
  const choose = () => {
    const sign = order.selectedOptions[0].hasAttribute("data-down") ? -1 : 1;
    chosen = cards.filter((card) => filters.every((filter) => passes(card, filter)));
    chosen.sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === null || b === null) return (a === null) - (b === null) || place.get(one) - place.get(other);
      return sign * (a - b) || place.get(one) - place.get(other);
    });
    box.append(...chosen);
    page = 0;
    show();
  };
  const go = () => {
    const card = cards.find((one) => one.id === location.hash.slice(1));
    if (!card) return;
    if (!chosen.includes(card)) clear();
    page = Math.floor(chosen.indexOf(card) / PER_PAGE);
    show();
    card.scrollIntoView();
    card.focus({ preventScroll: true });
  };
  const clear = () => {
    for (const filter of filters) filter.type === "checkbox" ? (filter.checked = false) : (filter.value = "");
    order.selectedIndex = 0;
    choose();
  };
  for (const control of [...filters, order]) control.addEventListener("input", choose);
  for (const step of steps) {
    step.addEventListener("click", () => {
      page += Number(step.dataset.step);
      show();
      root.querySelector("#cards").scrollIntoView();
    });
  }
  window.addEventListener("hashchange", go);
  root.querySelector(".choose").open = !matchMedia("(max-width: 40rem)").matches;
  clear(); // browsers keep what was chosen before a reload
  go();
})();
