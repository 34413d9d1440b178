// What the pages share: finding and saying things, and sliders.

const find = (selector, within = document) => within.querySelector(selector);
const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
const data = JSON.parse(find("#data").textContent);
const escaped = (text) =>
  String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt()};`);
const minus = (text) => String(text).replace("-", "−");
const sum = (values) => values.reduce((total, value) => total + value, 0);

// Each slider gets its label, and a number beside it, which has its name in the form:
// the last word of the slider's id. Its limits may stand in the page.
function buildSliders() {
  for (const slider of findAll(".slider")) {
    const { id, textContent: label, dataset } = slider;
    slider.innerHTML = `<label for="${id}-number">${label}</label>
      <input type="range" aria-label="${label}, slider">
      <input type="number" id="${id}-number" name="${id.split("-").at(-1)}" required>`;
    place({ [id]: { ...dataset, defaultValue: dataset.value ?? "" } });
  }
}

// sliders: for the id of each, its limits and its value.
function place(sliders) {
  for (const [id, limits] of Object.entries(sliders)) {
    findAll(`#${id} input`).forEach((input) => Object.assign(input, limits));
  }
}

// A slider and the number beside it say the same.
function keepPaired({ target }) {
  const pair = target.closest(".slider")?.querySelectorAll("input") ?? [];
  for (const input of pair) if (input !== target) input.value = target.value;
}

// What is wrong with the numbers of a form, in words; "" if nothing is.
function wrongIn(form) {
  const wrong = find(":not([hidden]) > input:invalid", form);
  return wrong ? `${wrong.labels[0].textContent}: ${wrong.validationMessage}` : "";
}

// list: what can be chosen, in groups if its members are of kinds.
function choices(select, list, chosen = 0) {
  for (const [kind, some] of Map.groupBy(list.entries(), ([, one]) => one.kind)) {
    const options = some.map(
      ([i, { name, text }]) => new Option(name ?? text, i, i === chosen, i === chosen),
    );
    const group = document.createElement("optgroup");
    group.label = kind ?? "";
    group.append(...options);
    select.append(...(kind ? [group] : options));
  }
}
