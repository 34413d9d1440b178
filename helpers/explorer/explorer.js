// The picture, its numbers and its line of Python, made anew from the scores in the page
// whenever a control changes. What is counted, and its looks, are plots.histogram's.

const find = (selector) => document.querySelector(selector);
const findAll = (selector) => [...document.querySelectorAll(selector)];
const data = JSON.parse(find("#data").textContent);
const form = find("form");

// ---- words and numbers

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt()};`);
const percent = (share) => `${(100 * share).toFixed(0)}%`;
const minus = (text) => String(text).replace("-", "−");
const number = (value, { measure }) => minus(value.toFixed(measure.digits));
const withUnit = (value, v) => `${number(value, v)} ${v.measure.unit}`;
const sum = (values) => values.reduce((total, value) => total + value, 0);

// ---- controls

function build() {
  const lists = { measure: data.measures, layout: data.layouts, home: data.kinds };
  for (const [id, list] of Object.entries(lists)) {
    const option = ({ name }, i) => `<option value="${i}">${escaped(name)}</option>`;
    form[id].innerHTML = list.map(option).join("");
  }
  for (const id of ["kinds", "models"]) {
    const box = ({ name, colors }, i) => `<label><input type="checkbox" name="${id}"
      value="${i}" style="accent-color:${onPage(colors)}"> ${escaped(name)}</label>`;
    find(`#${id}`).innerHTML += data[id].map(box).join("");
  }
  for (const slider of findAll(".slider")) {
    const { id, textContent: label } = slider;
    slider.innerHTML = `<label for="${id}-number">${label}</label>
      <input type="range" aria-label="${label}, slider">
      <input type="number" id="${id}-number" name="${id}" required>`;
  }
}

// sliders: for the id of each, its limits and its value.
function place(sliders) {
  for (const [id, limits] of Object.entries(sliders)) {
    findAll(`#${id} input`).forEach((input) => Object.assign(input, limits));
  }
}

function reset() {
  form.reset();
  findAll("[name=kinds], [name=models][value='0']").forEach((box) => box.click());
  place({ bins: data.bins, ...data.measures[0].sliders });
  drawSoon();
}

function changed({ target }) {
  if (target.name === "measure") place(data.measures[target.value].sliders);
  if (target.closest(".slider")) {
    // A slider and the number beside it say the same.
    const [one, other] = target.parentElement.querySelectorAll("input");
    (target === one ? other : one).value = target.value;
  }
  drawSoon();
}

// ---- what the controls ask for

function view() {
  const fields = new FormData(form);
  const v = Object.fromEntries(fields);
  for (const id of ["bins", "width", "low", "high", "threshold"]) v[id] = Number(v[id]);
  const chosen = (id, i) => fields.getAll(id).includes(String(i));
  const groups = data.groups
    .filter(({ kind, model }) => chosen("kinds", kind) && chosen("models", model))
    .map(({ kind, model, scores }) => ({
      kind: data.kinds[kind],
      model: data.models[model],
      values: scores[v.measure],
    }));
  v.measure = data.measures[v.measure];
  v.layout = data.layouts[v.layout].code;
  v.home = data.kinds[v.home];
  v.kinds = [...new Set(groups.map(({ kind }) => kind))];
  v.models = data.models.filter((one) => groups.some(({ model }) => model === one));
  v.groups = groups.map((group) => counted(group, v));
  v.detectors = v.models.flatMap((model) => detector(model, v));
  return v;
}

// ranks: the values with the sign that makes higher likelier; both are sorted.
function counted(group, v) {
  const { kind, model, values } = group;
  const limit = v.measure.sign * v.threshold;
  const ranks = Float64Array.from(values, (value) => v.measure.sign * value).sort();
  const letIn = ranks.length - count(ranks, (rank) => rank <= limit);
  const [mean, share] = [sum(values) / values.length, letIn / ranks.length];
  const names = [kind.name, model.name];
  if (v.models.length === 1) names.pop();
  else if (v.kinds.length === 1) names.shift();
  const words = `${names.join(", ")}: mean ${number(mean, v)}, ${percent(share)} let in`;
  return { ...group, ranks, letIn, mean, share, words };
}

// How many of the sorted values, from the first on, a condition holds for.
function count(sorted, holds) {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (holds(sorted[middle])) from = middle + 1;
    else to = middle;
  }
  return from;
}

// A model as a detector of `home` against the other kinds shown, if there are any. For
// each threshold, a point: the share of strangers and the share of home it lets in.
function detector(model, v) {
  const groups = v.groups.filter((group) => group.model === model);
  const home = groups.find(({ kind }) => kind === v.home);
  const others = groups.filter(({ kind }) => kind !== v.home);
  if (!home || !others.length) return [];
  const strangers = Float64Array.from(others.flatMap(({ ranks }) => [...ranks])).sort();
  const from = (ranks, at) => 1 - count(ranks, (rank) => rank < at) / ranks.length;
  const thresholds = [...new Set([Infinity, ...strangers, ...home.ranks])];
  thresholds.sort((a, b) => b - a);
  const points = thresholds.map((at) => [from(strangers, at), from(home.ranks, at)]);
  const areas = points.slice(1).map(([x, y], i) => (x - points[i][0]) * (y + points[i][1]));
  const letIn = sum(others.map((group) => group.letIn)) / strangers.length;
  const shares = `lets in ${percent(home.share)}, and ${percent(letIn)} of strangers`;
  const words = `${model.name}: AUROC ${(sum(areas) / 2).toFixed(3)}, ${shares}`;
  return [{ model, points, point: [letIn, home.share], words }];
}

// Why nothing can be drawn; "" if it can.
function obstacle(v) {
  const wrong = find("input:invalid");
  if (!v.groups.length) return "Nothing is shown: choose at least one text and one model.";
  if (wrong) return `${wrong.labels[0].textContent}: ${wrong.validationMessage}`;
  if (v.high <= v.low) return "The x-range is empty: it must end above its beginning.";
  const tooMany = v.by === "width" && (v.high - v.low) / v.width > 300;
  return tooMany ? "More than 300 bins: make them wider, or the x-range smaller." : "";
}

// The edges that NumPy's linspace or arange gives, to the last digit.
function edgesOf({ by, low, high, bins, width }) {
  const step = by === "width" ? low + width - low : (high - low) / bins;
  const length = by === "width" ? Math.ceil((high + width - low) / width) : bins;
  const edges = Array.from({ length }, (_, i) => i * step + low);
  return by === "width" ? edges : [...edges, high];
}

// As np.histogram: each bin has its left edge, and the last one its right edge, too.
function countsOf(values, edges) {
  const before = edges.map((edge) => count(values, (value) => value < edge));
  before[edges.length - 1] = count(values, (value) => value <= edges.at(-1));
  return before.slice(1).map((n, i) => n - before[i]);
}

// The title of plots.histogram: the likeliest group, and its mean.
function finding(v) {
  const [best] = v.groups.toSorted((a, b) => v.measure.sign * (b.mean - a.mean));
  const said = `${best.kind.name}, ${best.model.name} (${withUnit(best.mean, v)})`;
  return v.groups.length > 1 ? `Likeliest: ${said}` : said;
}

function lineOfPython(v) {
  const list = (all) => `[${all.map(({ code }) => code).join(", ")}]`;
  const bins = v.by === "width" ? `bin_width=${v.width}` : `bins=${v.bins}`;
  const switches = (v.density ? ", density=True" : "") + (v.log ? ", log=True" : "");
  return `plots.histogram(scores, kinds=${list(v.kinds)}, models=${list(v.models)}, \
measure=${v.measure.code}, ${bins}, span=(${v.low}, ${v.high}), layout='${v.layout}', \
threshold=${v.threshold}${switches})`;
}

// ---- the picture, as SVG

const FONT = "13px 'DejaVu Sans', Verdana, sans-serif";
const LINE = 18; // pixels from one line of text to the next
// A colour is a pair: on a light page, and on a dark one.
const onPage = ([light, dark]) => `light-dark(${light}, ${dark})`;
const onPaper = ([light]) => light;
const PAPER = ["#ffffff", "#1b1b1b"];
const line = (color, width) => `fill:none;stroke:${color};stroke-width:${width}`;
const dashed = (color) => `${line(color, 1.4)};stroke-dasharray:5 3`;
const path = (corners, look) => `<path d="M${corners.join("L")}" style="${look}"/>`;
const text = (x, y, words, anchor = "start") =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`;

// Lines of text from `y` on, each with a swatch of its look; and the next line's place.
function written(items, left, y, width) {
  let drawn = "";
  for (const { words, look } of items) {
    const [x, most] = [left + (look ? 24 : 0), Math.floor((width - 24) / 8)];
    const lines = words.match(new RegExp(`.{1,${most}}(?: |$)|.{${most}}`, "g"));
    if (look) drawn += `<path d="M${left} ${y}h16v-10h-16z" style="${look}"/>`;
    drawn += lines.map((words, i) => text(x, y + i * LINE, words)).join("");
    y += lines.length * LINE;
  }
  return [drawn, y];
}

function scale(low, high, from, to, log) {
  const within = (value) => Math.min(Math.max(value, low), high);
  const place = (value) => (log ? Math.log10(within(value)) : within(value));
  const unit = (to - from) / (place(high) - place(low));
  return (value) => from + (place(value) - place(low)) * unit;
}

function ticks({ low, high, log }, most) {
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= (high - low) / most);
  const even = Array.from({ length: 12 }, (_, i) => (Math.ceil(low / step) + i) * step);
  const powers = Array.from({ length: 20 }, (_, i) => 10 ** (i - 10));
  return (log ? powers : even).filter((tick) => tick >= low && tick <= high);
}

// Axes and what is drawn between them: marks, lines and areas through points (x, y).
// Lines of text above and below. Gives the SVG, and where the next panel may begin.
function panel({ above, below, marks, x, y }, left, top, width, height) {
  const [head, from] = written(above, left, top, width);
  const [start, end, base] = [left + 48, left + width, from + height];
  const X = scale(x.low, x.high, start, end);
  const Y = scale(y.low, y.high, base, from - 8, y.log);
  const label = (tick) => minus(Number(tick.toPrecision(6)));
  let drawn = head;
  for (const tick of ticks(y, height / 45)) {
    drawn += path([[start, Y(tick)], [end, Y(tick)]], line("#8888", 1));
    drawn += text(start - 6, Y(tick) + 4, label(tick), "end");
  }
  for (const tick of below.length ? ticks(x, width / 80) : []) {
    drawn += text(X(tick), base + LINE, label(tick), "middle");
  }
  for (const { points, look } of marks) {
    drawn += path(points.map(([x, y]) => [X(x), Y(y)]), look);
  }
  const [foot, next] = written(below, start, base + 2 * LINE, end - start);
  return [drawn + foot, next];
}

// The base outlined, the first fine-tuned model filled, a second and a third hatched;
// cumulative curves thin, thick, dashed, dotted.
function lookOf(order, color, layout) {
  const dashes = ["none", "none", "9 5", "2 4"][order];
  if (layout === "cumulative") return `${line(color, order ? 3 : 1.2)};stroke-dasharray:${dashes}`;
  return order ? `fill:${color};fill-opacity:0.7;mask:url(#hatch${order})` : line(color, 1.8);
}

const HATCHES = [45, -45].map((angle, i) => `<pattern id="lines${i}" width="6" height="6"
  patternUnits="userSpaceOnUse" patternTransform="rotate(${angle})">
  <path d="M0 0V6" stroke="#fff" stroke-width="6"/></pattern>
  <mask id="hatch${i + 2}"><rect width="9999" height="9999" fill="url(#lines${i})"/></mask>`);

// As in plots, a kind has its colour; but where all are of one kind, only the first
// fine-tuned model has it, and the others are dark.
function shapes(v, ink) {
  const edges = edgesOf(v);
  const tuned = v.models.filter((model) => !model.base);
  return v.groups.map((group) => {
    const { kind, model, values } = group;
    const dark = v.kinds.length === 1 && model !== (tuned[0] ?? model);
    const color = ink(dark ? data.ink : kind.colors);
    const order = model.base ? 0 : 1 + (tuned.indexOf(model) % 3);
    let [xs, heights] = [edges, countsOf(values, edges)];
    if (v.layout === "cumulative") {
      xs = [Math.min(v.low, values[0]), ...values, Math.max(v.high, values.at(-1))];
      heights = xs.slice(1).map((_, i) => i / values.length);
    } else if (v.density) {
      heights = heights.map((n, i) => n / values.length / (xs[i + 1] - xs[i]));
    }
    const steps = heights.flatMap((height, i) => [[xs[i], height], [xs[i + 1], height]]);
    const points = [[xs[0], 0], ...steps, [xs.at(-1), 0]];
    return { ...group, color, heights, points, look: lookOf(order, color, v.layout), order };
  });
}

// The marks of some groups: those outlined last, then means and the threshold.
function marksOf(groups, v, y, ink) {
  const upright = (x, look) => ({ points: [[x, y.low], [x, y.high]], look, x });
  const means = groups.map(({ mean, color }) => upright(mean, dashed(color)));
  const threshold = upright(v.threshold, line(ink(data.ink), 1.6));
  const uprights = [...means, threshold].filter(({ x }) => x >= v.low && x <= v.high);
  return [...groups.toSorted((a, b) => (b.order > 0) - (a.order > 0)), ...uprights];
}

function histograms(v, ink, left, top, width) {
  const groups = shapes(v, ink);
  const heights = groups.flatMap((group) => group.heights).filter((height) => height > 0);
  const y = { low: 0, high: 1.05 * Math.max(...heights, 0) || 1, log: v.log };
  if (v.log) y.low = Math.min(...heights, y.high) / 2;
  const all = groups.flatMap(({ values }) => values);
  const outside = all.filter((value) => value < v.low || value > v.high).length;
  const frame = outside ? `; ${outside} outside the frame` : "";
  const sizes = new Set(groups.map(({ values }) => values.length));
  const n = [...sizes].sort((a, b) => a - b).join(" to ");
  const title = [{ words: finding(v) }, { words: `${countedAs(v)} (n = ${n})` }];
  const below = [
    { words: v.measure.name + frame },
    { words: `dashed: means; black: the threshold, ${withUnit(v.threshold, v)}` },
  ];
  const rows = v.layout === "ridge" ? groups.map((group) => [group]) : [groups];
  let drawn = "";
  for (const row of rows) {
    const [first, last] = [row === rows[0], row === rows.at(-1)];
    const words = { above: [...(first ? title : []), ...row], below: last ? below : [] };
    const content = { ...words, marks: marksOf(row, v, y, ink), x: v, y };
    const [more, next] = panel(content, left, top, width, rows.length > 1 ? 40 : 270);
    drawn += more;
    top = next;
  }
  return [drawn, top];
}

function countedAs({ layout, density }) {
  if (layout === "cumulative") return "share at or below";
  return density ? "density" : "strings";
}

function roc(v, ink, left, top, width) {
  const x = { low: 0, high: 1 };
  const strangers = v.kinds.filter((kind) => kind !== v.home).map(({ inside }) => inside);
  const curves = v.detectors.map((detector) => {
    return { ...detector, look: line(ink(detector.model.colors), 2) };
  });
  const dots = curves.map(({ point, look }) => {
    return { points: [point, point], look: `${look};stroke-width:11;stroke-linecap:round` };
  });
  const chance = { points: [[0, 0], [1, 1]], look: dashed("#888888") };
  const above = [{ words: `Is it ${v.home.inside}?` }, ...curves, { words: "share let in" }];
  const below = [{ words: `share of strangers let in (${strangers.join(" and ")})` }];
  const marks = [chance, ...curves, ...dots];
  return panel({ above, below, marks, x, y: x }, left, top, width, 230);
}

// note: what made the numbers, for a picture that leaves the page.
function picture(v, width, ink, note = "") {
  const beside = width > 760 && v.detectors.length;
  const [left, foot] = histograms(v, ink, 0, 20, beside ? width - 330 : width - 10);
  const place = beside ? [width - 300, 20, 290] : [0, foot + LINE, Math.min(300, width - 10)];
  const [right, end] = v.detectors.length ? roc(v, ink, ...place) : ["", 0];
  const made = note ? [{ words: note }] : [];
  const [last, height] = written(made, 0, Math.max(foot, end), width);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"
    viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(finding(v))}"
    style="font:${FONT};fill:${ink(data.ink)};background:${ink(PAPER)}">
    <defs>${HATCHES.join("")}</defs>${left}${right}${last}</svg>`;
}

// ---- drawing, at most once a frame

let [waiting, speaking] = [0, 0];

function drawSoon() {
  waiting ||= requestAnimationFrame(draw);
}

function draw() {
  waiting = 0;
  const v = view();
  const why = obstacle(v);
  form.log.disabled = v.layout === "ridge";
  find("#bins").hidden = v.by === "width";
  find("#width").hidden = v.by !== "width";
  find("#png").disabled = find("#svg").disabled = find("#numbers").hidden = why !== "";
  find("figure").innerHTML = why ? "" : picture(v, find("figure").clientWidth, onPage);
  find("code").textContent = why ? "" : lineOfPython(v);
  find("tbody").innerHTML = why ? "" : v.groups.map((group) => row(group, v)).join("");
  const rule = `Let in is what is likelier than ${withUnit(v.threshold, v)}`;
  find("caption").textContent = rule;
  // Said once a drag rests, so that no screen reader is flooded.
  clearTimeout(speaking);
  speaking = setTimeout(() => { find("#said").textContent = why || sentences(v, rule); }, 150);
}

function sentences(v, rule) {
  const words = [...v.groups, ...v.detectors].map((one) => one.words);
  return `${[finding(v), rule, ...words].join(". ")}.`;
}

function row({ kind, model, values, mean, letIn, share }, v) {
  const numbers = [values.length, number(mean, v), letIn, percent(share)];
  const cells = [kind.name, model.name, ...numbers];
  return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`;
}

async function save({ target }) {
  const type = target.id;
  const svg = picture(view(), 1100, onPaper, data.note);
  const link = document.createElement("a");
  link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  if (type === "png") {
    const image = Object.assign(new Image(), { src: link.href });
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    link.href = canvas.toDataURL();
  }
  link.download = `histogram.${type}`;
  link.click();
}

build();
reset();
form.addEventListener("input", changed);
find("#again").addEventListener("click", reset);
find("#png").addEventListener("click", save);
find("#svg").addEventListener("click", save);
new ResizeObserver(drawSoon).observe(find("main"));

// ---- in a notebook: as high as its content, in the notebook's colours, and in place of
// the still picture that stands before it for readers without scripts

const frame = window.frameElement;
if (frame) {
  const page = document.documentElement;
  const follow = () => {
    const { jpThemeLight } = frame.ownerDocument.body.dataset;
    page.dataset.light = jpThemeLight ?? "";
  };
  new ResizeObserver(() => { frame.height = page.offsetHeight; }).observe(page);
  new MutationObserver(follow).observe(frame.ownerDocument.body, { attributes: true });
  follow();
  const outputs = [...(frame.closest(".jp-OutputArea, .output")?.children ?? [])];
  const still = outputs[outputs.findIndex((one) => one.contains(frame)) - 1];
  if (still?.querySelector("img")) still.style.display = "none";
}
