// The picture, its numbers and its line of Python, made anew from the scores in the
// page whenever a control changes. What is counted, and its looks, are as in
// plots.histogram.

const form = find("form");

// ---- words and numbers

// As Python rounds: a half to the even number.
const rounding = { style: "percent", roundingMode: "halfEven" };
const percent = new Intl.NumberFormat("en", rounding).format;
const number = (value, { measure }) => minus(value.toFixed(measure.digits));
const withUnit = (value, v) => `${number(value, v)} ${v.measure.unit}`;

// ---- controls

function build() {
  choices(form.measure, data.measures);
  choices(form.home, data.kinds);
  for (const id of ["kinds", "models"]) {
    const box = ({ name, color }, i) => `<label><input type="checkbox" name="${id}"
      value="${i}" style="accent-color:${color}"> ${escaped(name)}</label>`;
    find(`#${id}`).innerHTML += data[id].map(box).join("");
  }
  buildSliders();
}

function reset() {
  form.reset();
  findAll("[name=kinds], [name=models][value='0']").forEach((box) => box.click());
  place({ bins: { min: 1, max: 150, value: 40 }, ...data.measures[0].sliders });
  drawSoon();
}

function changed(event) {
  const { name, value } = event.target;
  if (name === "measure") place(data.measures[value].sliders);
  keepPaired(event);
  drawSoon();
}

// ---- what the controls ask for

function view() {
  const fields = new FormData(form);
  const v = Object.fromEntries(fields);
  for (const id of ["bins", "width", "low", "high", "threshold"]) v[id] = Number(v[id]);
  v.column = v.measure;
  v.measure = data.measures[v.column];
  v.limit = v.measure.sign * v.threshold;
  v.home = data.kinds[v.home];
  const [kinds, models] = [fields.getAll("kinds"), fields.getAll("models")];
  const shown = data.groups.filter(
    ([kind, model]) => kinds.includes(`${kind}`) && models.includes(`${model}`),
  );
  v.kinds = data.kinds.filter((_, i) => shown.some(([kind]) => kind === i));
  v.models = data.models.filter((_, i) => shown.some(([, model]) => model === i));
  v.groups = shown.map(([k, m, scores]) =>
    counted(data.kinds[k], data.models[m], scores[v.column], v),
  );
  v.detectors = v.models.flatMap((model) => detector(model, v));
  return v;
}

// ranks: the values with the sign that makes higher likelier; both are sorted.
function counted(kind, model, values, v) {
  const ranks = Float64Array.from(values, (value) => v.measure.sign * value).sort();
  const mean = sum(values) / values.length;
  const share = letIn([{ ranks }], v.limit);
  const names = [kind.name, model.name];
  if (v.models.length === 1) names.pop();
  else if (v.kinds.length === 1) names.shift();
  const said = `mean ${number(mean, v)}, ${percent(share)} let in`;
  const words = `${names.join(", ")}: ${said}`;
  return { kind, model, values, ranks, mean, share, words };
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

// The share of the strings of some groups that are likelier than a limit.
function letIn(groups, limit) {
  const likelier = ({ ranks }) => ranks.length - count(ranks, (rank) => rank <= limit);
  return sum(groups.map(likelier)) / sum(groups.map(({ ranks }) => ranks.length));
}

// A model as a detector of `home` against the other kinds shown, if there are any. For
// each threshold, a point: the share of strangers and the share of home it lets in.
function detector(model, v) {
  const groups = v.groups.filter((group) => group.model === model);
  const home = groups.filter(({ kind }) => kind === v.home);
  const others = groups.filter(({ kind }) => kind !== v.home);
  if (!home.length || !others.length) return [];
  const limits = new Set(groups.flatMap(({ ranks }) => [-Infinity, ...ranks]));
  const place = (limit) => [letIn(others, limit), letIn(home, limit)];
  const points = [...limits].sort((a, b) => b - a).map(place);
  const area = sum(
    points.slice(1).map(([x, y], i) => ((x - points[i][0]) * (y + points[i][1])) / 2),
  );
  const point = place(v.limit);
  const shares = `lets in ${percent(point[1])}, and ${percent(point[0])} of strangers`;
  const words = `${model.name}: AUROC ${area.toFixed(3)}, ${shares}`;
  return [{ points, point, words, look: line(model.color, 2) }];
}

// Why nothing can be drawn; "" if it can.
function obstacle(v) {
  if (!v.groups.length) return "Nothing is shown: choose a kind of text and a model.";
  if (wrongIn(form)) return wrongIn(form);
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

const BOLD = 'font-weight="bold"';
const LINE = 18; // pixels from one line of text to the next
const line = (color, width, dashes = "none") =>
  `fill:none;stroke:${color};stroke-width:${width};stroke-dasharray:${dashes}`;
const path = (corners, look) => `<path d="M${corners.join("L")}" style="${look}"/>`;
const text = (x, y, words, more = "") =>
  `<text x="${x}" y="${y}" ${more}>${escaped(words)}</text>`;

// Lines of text from `y` on, each with a swatch of its look; and the next line's place.
function written(items, left, y, width) {
  let drawn = "";
  for (const { words, look, more } of items) {
    const [x, most] = [left + (look ? 24 : 0), Math.floor((width - 24) / 8)];
    const lines = words.match(new RegExp(`.{1,${most}}(?: |$)|.{${most}}`, "g")) ?? [];
    if (look) drawn += `<path d="M${left} ${y}h16v-10h-16z" style="${look}"/>`;
    drawn += lines.map((words, i) => text(x, y + i * LINE, words, more)).join("");
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
  const Y = scale(y.low, y.high, base, from - 4, y.log);
  const label = (tick) => minus(Number(tick.toPrecision(6)));
  let drawn = head;
  for (const tick of ticks(y, Math.max(2, height / 45))) {
    drawn += path([[start, Y(tick)], [end, Y(tick)]], line("#8888", 1));
    drawn += text(start - 6, Y(tick) + 4, label(tick), 'text-anchor="end"');
  }
  for (const tick of below.length ? ticks(x, Math.min(10, width / 80)) : []) {
    drawn += text(X(tick), base + LINE, label(tick), 'text-anchor="middle"');
  }
  for (const { points, look } of marks) {
    drawn += path(points.map(([x, y]) => [X(x), Y(y)]), look);
  }
  const lines = below.length ? 2 : 1.2;
  const [foot, next] = written(below, start, base + lines * LINE, end - start);
  return [drawn + foot, next];
}

// The base outlined, the first fine-tuned model filled, a second and a third hatched;
// cumulative curves thin, thick, dashed, dotted.
function lookOf(order, color, layout) {
  const dashes = ["none", "none", "9 5", "2 4"][order];
  if (layout === "cumulative") return line(color, order ? 3 : 1.2, dashes);
  if (order === 0) return line(color, 1.8);
  return `${line(color, 1)};fill:${color};fill-opacity:0.7;mask:url(#hatch${order})`;
}

const hatch = (angle, i) => `<pattern id="lines${i}" width="6" height="6"
  patternUnits="userSpaceOnUse" patternTransform="rotate(${angle})">
  <path d="M0 0V6" stroke="#fff" stroke-width="6"/></pattern><mask id="hatch${i + 2}">
  <rect width="9999" height="9999" fill="url(#lines${i})"/></mask>`;

// Each group with its colour, its look and its corners, points (x, y). As in plots,
// only the first fine-tuned model has its kind's colour where all are of one kind.
function shapes(v) {
  const edges = edgesOf(v);
  const tuned = v.models.filter((model) => !model.base);
  return v.groups.map((group) => {
    const { kind, model, values } = group;
    const dark = v.kinds.length === 1 && model !== (tuned[0] ?? model);
    const color = dark ? "currentColor" : kind.color;
    const order = model.base ? 0 : 1 + (tuned.indexOf(model) % 3);
    let [xs, heights] = [edges, countsOf(values, edges)];
    if (v.layout === "cumulative") {
      xs = [Math.min(v.low, values[0]), ...values, Math.max(v.high, values.at(-1))];
      heights = xs.slice(1).map((_, i) => i / values.length);
    } else if (v.density) {
      heights = heights.map((n, i) => n / values.length / (xs[i + 1] - xs[i]));
    }
    const steps = heights.flatMap((h, i) => [[xs[i], h], [xs[i + 1], h]]);
    const points = [[xs[0], 0], ...steps, [xs.at(-1), 0]];
    const look = lookOf(order, color, v.layout);
    return { ...group, color, heights, points, order, look };
  });
}

// The marks of some groups: those outlined last, then means and the threshold.
function marksOf(groups, v, { low, high }) {
  const upright = (x, look) => ({ points: [[x, low], [x, high]], look, x });
  const means = groups.map(({ mean, color }) => upright(mean, line(color, 1.4, "5 3")));
  const uprights = [...means, upright(v.threshold, line("currentColor", 1.6))];
  const within = uprights.filter(({ x }) => x >= v.low && x <= v.high);
  return [...groups.toSorted((a, b) => (b.order > 0) - (a.order > 0)), ...within];
}

function histograms(v, top, width) {
  const groups = shapes(v);
  const highest = groups.map(({ heights }) => Math.max(...heights));
  const lowest = groups.map(({ heights }) => Math.min(...heights.filter((h) => h > 0)));
  const y = { low: 0, high: 1.05 * Math.max(...highest) || 1, log: v.log };
  if (v.log) y.low = Math.min(...lowest, y.high) / 2;
  const all = groups.flatMap(({ values }) => values);
  const outside = all.filter((value) => value < v.low || value > v.high).length;
  const height = v.density ? "density" : "strings";
  const counted = v.layout === "cumulative" ? "share at or below" : height;
  const title = [{ words: finding(v), more: BOLD }, { words: counted }];
  const foot = [
    { words: v.measure.axis + (outside ? `; ${outside} outside the frame` : "") },
    { words: `dashed: means; solid: the threshold, ${withUnit(v.threshold, v)}` },
  ];
  const rows = v.layout === "ridge" ? groups.map((group) => [group]) : [groups];
  let drawn = "";
  for (const row of rows) {
    const above = [...(row === rows[0] ? title : []), ...row];
    const below = row === rows.at(-1) ? foot : [];
    const content = { above, below, marks: marksOf(row, v, y), x: v, y };
    const [more, next] = panel(content, 0, top, width, rows.length > 1 ? 40 : 270);
    drawn += more;
    top = next;
  }
  return [drawn, top];
}

function roc(v, left, top, width) {
  const x = { low: 0, high: 1 };
  const others = v.kinds.filter((kind) => kind !== v.home).map(({ name }) => name);
  const dots = v.detectors.map(({ point, look }) => {
    const dot = "stroke-width:11;stroke-linecap:round";
    return { points: [point, point], look: `${look};${dot}` };
  });
  const chance = { points: [[0, 0], [1, 1]], look: line("#888888", 1.4, "5 3") };
  const title = { words: `As detectors of: ${v.home.name}`, more: BOLD };
  const above = [title, ...v.detectors, { words: "share of it let in" }];
  const below = [{ words: `share of strangers let in: ${others.join(", ")}` }];
  const marks = [chance, ...v.detectors, ...dots];
  return panel({ above, below, marks, x, y: x }, left, top, width, 230);
}

// made: what made the numbers, and style: colours, for a picture that leaves the page.
function picture(v, width, made = "", style = "") {
  const beside = width > 640 && v.detectors.length;
  const [left, foot] = histograms(v, 20, beside ? width - 330 : width - 10);
  const place = beside ? [width - 300, 20] : [0, foot + LINE];
  const narrow = Math.min(290, width - 10);
  const [right, end] = v.detectors.length ? roc(v, ...place, narrow) : ["", 0];
  const [last, height] = written([{ words: made }], 0, Math.max(foot, end), width);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"
    viewBox="-4 0 ${width} ${height}" role="img" aria-label="${escaped(finding(v))}"
    style="font:13px 'DejaVu Sans',Verdana,sans-serif;fill:currentColor;${style}">
    <defs>${[45, -45].map(hatch).join("")}</defs>${left}${right}${last}</svg>`;
}

// ---- drawing, at most once a frame

let waiting = 0;

function drawSoon() {
  waiting ||= requestAnimationFrame(draw);
}

function draw() {
  waiting = 0;
  const v = view();
  find("#bins").hidden = v.by === "width";
  find("#width").hidden = v.by !== "width";
  form.log.disabled = v.layout === "ridge";
  const why = obstacle(v);
  find("#png").disabled = find("#svg").disabled = why !== "";
  find("figure").innerHTML = why ? "" : picture(v, find("figure").clientWidth);
  const rule = `Let in is what is likelier than ${withUnit(v.threshold, v)}`;
  const words = [...v.groups, ...v.detectors].map((one) => one.words);
  find("#said").textContent = why || `${[finding(v), rule, ...words].join(". ")}.`;
  find("code").textContent = why ? "" : lineOfPython(v);
  find("table").innerHTML = why ? "" : tableOf(v);
}

function tableOf(v) {
  const heads = ["text", "model", "strings", "mean", "let in"];
  const rows = v.groups.map(({ kind, model, values, mean, share }) => {
    const numbers = [values.length, number(mean, v), percent(share)];
    return `<tr><td>${[kind.name, model.name, ...numbers].map(escaped).join("<td>")}`;
  });
  return `<tr><th scope="col">${heads.join('<th scope="col">')}${rows.join("")}`;
}

async function save({ target }) {
  const look = "color:#222222;background:#ffffff";
  const svg = picture(view(), 1100, data.note, look);
  const link = document.createElement("a");
  link.download = `histogram.${target.id}`;
  link.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  if (target.id === "png") {
    const image = Object.assign(new Image(), { src: link.href });
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.width;
    canvas.height = 2 * image.height;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    link.href = canvas.toDataURL();
  }
  link.click();
}

build();
reset();
form.addEventListener("input", changed);
find("#again").addEventListener("click", reset);
find("#png").addEventListener("click", save);
find("#svg").addEventListener("click", save);
new ResizeObserver(drawSoon).observe(find("main"));

// ---- in a notebook: as high as its content, in the notebook's colours, and in place
// of the still picture that stands before it for readers without scripts

const frame = window.frameElement;
if (frame) {
  const page = document.documentElement;
  const host = frame.ownerDocument.body;
  const follow = () => { page.dataset.light = host.dataset.jpThemeLight ?? ""; };
  new MutationObserver(follow).observe(host, { attributes: true });
  follow();
  new ResizeObserver(() => { frame.height = page.offsetHeight; }).observe(page);
  find("nav").remove(); // the other page lies elsewhere
  const outputs = [...(frame.closest(".jp-OutputArea, .output")?.children ?? [])];
  const still = outputs[outputs.findIndex((one) => one.contains(frame)) - 1];
  if (still?.querySelector("img")) still.style.display = "none";
}
