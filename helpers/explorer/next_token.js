// Five things to play with, each a section of the page with a form. Whatever changes in
// a form, its section is drawn anew from what the models have said beforehand.

const LISTED = 10; // tokens of a distribution that stand in its table
const picture = (sign) => String.fromCharCode(0x2400 + sign.charCodeAt()); // of control
const visible = (token) =>
  token.replaceAll(" ", "·").replaceAll("\n", "↵").replace(/[\0-\x1f]/g, picture);
const shown = (token) => escaped(visible(token) || "…");
const whole = (number) => number.toLocaleString("en");
const nats = (value, digits = 2) => minus(value.toFixed(digits));
const signed = (value) => (value > 0 ? "+" : "") + nats(value, 1);
const least = (p) => (p > 0 && p < 0.0005 ? "< 0.001" : p.toFixed(3));
const probability = (p) => `<data value="${p}">${escaped(least(p))}</data>`;

// ---- distributions
// One is its tokens' names, and entries of [log p, how many tokens have it], the
// likeliest first: one for each name, then one for each bin that counts the others.

// The tokens of a bin get the log p of its middle, all bins moved alike, so that the
// others have together the probability that they have.
function unpacked({ ids, log_p, rest, width, first, counts }) {
  const names = ids.map((id) => data.names[id]);
  const kept = log_p.map((value) => [value, 1]);
  const bins = counts.map((n, i) => [-width * (first + i + 0.5), n]);
  const moved = Math.log(rest / sum(bins.map(([value, n]) => n * Math.exp(value))));
  const others = bins.filter(([, n]) => n).map(([value, n]) => [value + moved, n]);
  return { names, entries: [...kept, ...others] };
}

// As sampling.reshape: temperature, then top-k, then top-p. For each entry how many of
// its tokens are kept, and the probability of each.
function reshape(entries, { temperature, top_k, top_p }) {
  let left = top_k || Infinity;
  const kept = entries.map(([logP, count]) => {
    const n = Math.min(count, left);
    left -= n;
    return { p: Math.exp((logP - entries[0][0]) / temperature), n };
  });
  share(kept);
  let before = 0; // the mass of the tokens likelier than an entry's
  for (const one of kept) {
    const enough = Math.ceil((top_p - before) / one.p - 1e-9);
    before += one.n * one.p;
    if (top_p < 1) one.n = Math.max(one === kept[0] ? 1 : 0, Math.min(one.n, enough));
  }
  return share(kept);
}

// Divide the probabilities so that those kept add up to 1.
function share(kept) {
  const mass = sum(kept.map(({ p, n }) => p * n));
  for (const one of kept) one.p /= mass;
  return kept;
}

const entropy = (kept) =>
  -sum(kept.map(({ p, n }) => (n && p ? n * p * Math.log(p) : 0)));

// ---- tables

// The rows of a distribution's table: a name, how many tokens it stands for, how many
// of them are kept, and their probability before and after.
function rowsOf({ names, entries }, kept) {
  const rows = names.slice(0, LISTED).map((name, i) => {
    const after = kept[i].n * kept[i].p;
    return { name, kept: kept[i].n, before: Math.exp(entries[i][0]), after };
  });
  const others = sum(entries.slice(LISTED).map(([, n]) => n));
  if (!others) return rows;
  return [...rows, {
    others,
    kept: sum(kept.slice(LISTED).map(({ n }) => n)),
    before: Math.max(0, 1 - sum(rows.map(({ before }) => before))),
    after: Math.max(0, 1 - sum(rows.map(({ after }) => after))),
  }];
}

// distributions: some to stand side by side, each with the name and the colour of its
// model. button: whether tokens can be chosen.
function tables(distributions, settings, button) {
  const all = distributions.map((one) => {
    const kept = reshape(one.entries, settings);
    return { ...one, kept, rows: rowsOf(one, kept) };
  });
  const bars = all.flatMap(({ rows }) => rows.flatMap((r) => [r.before, r.after]));
  const highest = Math.max(...bars);
  const widest = [0.1, 0.2, 0.5, 1].find((limit) => limit >= highest - 1e-9);
  return all.map((one) => table(one, widest, button)).join("");
}

function table({ entries, kept, rows, model, color }, widest, button) {
  const all = whole(sum(entries.map(([, n]) => n)));
  const left = whole(sum(kept.map(({ n }) => n)));
  const caption = `${model ? `<b>${escaped(model)}</b>: ` : ""}${left} of ${all} kept,
    entropy ${entropy(kept).toFixed(2)} nats`;
  const body = rows.map((row, i) => {
    const others = `all ${whole(row.others ?? 0)} others`;
    let name = row.others ? others : `<code>${shown(row.name)}</code>`;
    if (button && !row.others) {
      name = `<button type="button" value="${i}">${name}</button>`;
    }
    const width = (p) => `style="width:${(100 * p) / widest}%"`;
    const after = row.kept ? probability(row.after) : "cut";
    return `<tr${row.kept ? "" : ' class="cut"'}><th scope="row">${name}
      <td class="bar"><i ${width(row.before)}></i><b ${width(row.after)}></b>
      <td>${probability(row.before)}<td>${after}`;
  });
  return `<table class="next" style="--color:${color}"><caption>${caption}</caption>
    <tr><th scope="col">token<th scope="col" class="scale">0 to ${widest}
    <th scope="col">before<th scope="col">after${body.join("")}</table>`;
}

// A list of boxes, one a token, with lines below it.
const boxes = (items) => `<ol class="boxes">${items.join("")}</ol>`;
const box = (token, lines, style = "") =>
  `<li><code style="${style}">${shown(token)}</code>${lines
    .map((line) => `<small>${line}</small>`).join("")}`;

// ---- what is chosen in a form

function threeSliders(shape) {
  const { id } = shape.closest("section");
  return `<p class="slider" id="${id}-temperature" data-min="0.1" data-max="3"
    data-step="0.05" data-value="1">Temperature</p>
    <p class="slider" id="${id}-top_k" data-min="0" data-max="${shape.dataset.most}"
    data-step="1" data-value="0">Top-k (0 keeps all)</p>
    <p class="slider" id="${id}-top_p" data-min="0.01" data-max="1"
    data-step="0.01" data-value="1">Top-p (1 keeps all)</p>`;
}

const SETTINGS = ["temperature", "top_k", "top_p"];
const settingsOf = (form) =>
  Object.fromEntries(SETTINGS.map((name) => [name, Number(form[name].value)]));

// The names and colours of the models, each with its distribution after an opening.
const afterOpening = (form) =>
  data.openings[form.opening.value].trees.map((tree, i) => {
    const { name, color } = data.models[i];
    return { ...unpacked(tree), tree, model: name, color };
  });

// ---- the parts, drawn

// Distributions under a form's settings, and the line of Python that reshapes so.
function reshaped(form, distributions, button) {
  const settings = settingsOf(form);
  const said = SETTINGS.map((name) => `${name}=${settings[name]}`).join(", ");
  return `${tables(distributions, settings, button)}
    <p><code>sampling.reshape(logits, ${said})</code></p>`;
}

// What was chosen so far: of each token its place in its distribution, its name (none
// for one of a bin), and its log p under the model.
let path = [];

// The distribution that is reached; undefined outside the tree.
function reached(form) {
  const start = afterOpening(form)[form.model.value];
  const tree = path.reduce((node, { at }) => node?.branches?.[at], start.tree);
  return tree && { ...start, ...unpacked(tree), tree };
}

function choose(form, at) {
  const { names, entries } = reached(form);
  path.push({ at, name: names[at], logP: entries[at][0] });
}

function drawWriting(form) {
  const next = reached(form);
  const begun = data.openings[form.opening.value].text;
  const text = begun + path.map(({ name }) => name ?? " …").join("");
  let total = 0;
  const rows = path.map(({ name, logP }) => {
    total += logP;
    const token = name === undefined ? "another" : `<code>${shown(name)}</code>`;
    const numbers = [nats(logP), nats(total), Math.exp(total).toPrecision(3)];
    return `<tr><th scope="row">${token}<td>${probability(Math.exp(logP))}
      <td>${numbers.join("<td>")}`;
  });
  const heads = ["token", "p", "log p", "sum of log p", "product of p"];
  const steps = `<table class="steps"><caption>${escaped(text)} …</caption><tr>
    <th scope="col">${heads.join('<th scope="col">')}${rows.join("")}</table>`;
  form.back.disabled = form.again.disabled = !path.length;
  form.draw.disabled = !next;
  if (next) return steps + reshaped(form, [next], true);
  const end = path.length === 3 ? "ends here" : "does not go on from this token";
  return `${steps}<p class="said">The saved tree ${end}: go back, or begin again.</p>`;
}

// The next number, from 0 up to 1, that a seed gives (Park and Miller 1988).
function random(seed, step) {
  let state = seed + 1;
  for (let i = 0; i < step + 4; i++) state = (48271 * state) % 2147483647;
  return state / 2147483647;
}

function drawToken(form) {
  const kept = reshape(reached(form).entries, settingsOf(form));
  let left = random(Number(form.seed.value), path.length);
  // All together are 1, but for rounding.
  choose(form, kept.findIndex(({ p, n }) => (left -= p * n) < 1e-12));
}

let revealed = 0;
let hits = new Set(); // the places of the tokens that the class guessed

function scoresOf(form) {
  const { scores } = data.sentences[form.sentence.value];
  return ["first", "second"].map((which) => {
    const { name, color } = data.models[form[which].value];
    return { ...scores[form[which].value], name, color };
  });
}

function drawGuessing(form) {
  const pair = scoresOf(form);
  const tokens = pair[0].token;
  const items = tokens.slice(0, revealed).map((token, i) => {
    const lines = pair.map(
      ({ rank, log_prob }) => `${whole(rank[i])} · ${nats(-log_prob[i], 1)}`,
    );
    return box(token, [...lines, hits.has(i) ? "class ✓" : ""]);
  });
  const left = tokens.length - revealed;
  items.unshift(box("token", pair.map(({ name }) => escaped(name))));
  if (left) items.push(box("?", [`${left} covered`]));
  const rows = pair.map(({ name, rank, log_prob }) => {
    const first = rank.slice(0, revealed).filter((place) => place === 1).length;
    const total = nats(-sum(log_prob.slice(0, revealed)), 1);
    return `<tr><th scope="row">${escaped(name)}<td>${first}<td>${total}`;
  });
  form.reveal.disabled = !left;
  form.hit.disabled = form.again.disabled = !revealed;
  form.hit.ariaPressed = hits.has(revealed - 1);
  const last = revealed ? `, the last “${shown(tokens[revealed - 1])}”` : "";
  const caption = `${revealed} of ${tokens.length} revealed${last}`;
  const score = `<table><caption>${caption}</caption><tr><th scope="col">who<th scope="col">hits at first guess
    <th scope="col">nats in all<tr><th scope="row">the class<td>${hits.size}<td>
    ${rows.join("")}</table>`;
  return boxes(items) + score;
}

function drawComparing(form) {
  const [first, second] = scoresOf(form);
  const items = first.token.map((token, i) => {
    const gain = second.log_prob[i] - first.log_prob[i];
    const { color } = gain > 0 ? second : first;
    const depth = Math.min(35, 10 * Math.abs(gain));
    const look = `background:color-mix(in srgb, ${color} ${depth}%, transparent)`;
    return box(token, [signed(gain)], look);
  });
  const [one, two] = [first, second].map(({ log_prob }) => sum(log_prob));
  const said = `In all ${nats(two, 1)} nats under “${second.name}”, ${nats(one, 1)} under
    “${first.name}”: ${signed(two - one)} nats.`;
  return `${boxes(items)}<p class="said">${escaped(said)}</p>`;
}

// ---- drawing

const PARTS = {
  toy: (form) => reshaped(form, [data.toy]),
  openings: (form) => reshaped(form, afterOpening(form)),
  writing: drawWriting,
  guessing: drawGuessing,
  comparing: drawComparing,
};

function draw(section) {
  const form = find("form", section);
  const figure = find(".figure", section);
  const wrong = wrongIn(form);
  const inside = figure.contains(document.activeElement);
  figure.innerHTML = wrong ? `<p class="said">${wrong}</p>` : PARTS[section.id](form);
  // Who has chosen a token with the keyboard stays where the next one is chosen.
  if (inside) (find("button", figure) ?? form.back).focus();
  // For who hears the page: what is new in it.
  const words = findAll("caption, .said", figure).map((one) => one.textContent);
  find("[role=status]", section).textContent = words.join(" ");
}

const ACTS = {
  draw: drawToken,
  back: () => path.pop(),
  reveal: () => (revealed += 1),
  hit: () => hits.delete(revealed - 1) || hits.add(revealed - 1),
};

function begin(section) {
  if (section.id === "writing") path = [];
  if (section.id === "guessing") [revealed, hits] = [0, new Set()];
}

function changed(event) {
  keepPaired(event);
  const section = event.target.closest("section");
  const another = ["opening", "model", "sentence"].includes(event.target.name);
  if (another) begin(section);
  draw(section);
}

function pressed({ target }) {
  const button = target.closest("button[type=button]");
  if (!button) return;
  const section = button.closest("section");
  const form = find("form", section);
  if (button.name === "again") begin(section);
  else if (button.value) choose(form, Number(button.value));
  else if (!wrongIn(form)) ACTS[button.name](form);
  draw(section);
}

function reset({ target }) {
  const section = target.closest("section");
  begin(section);
  setTimeout(() => draw(section)); // once the controls are back
}

for (const section of findAll("section")) {
  const places = '<div class="figure"></div><p role="status" class="heard"></p>';
  section.insertAdjacentHTML("beforeend", places);
}
for (const shape of findAll(".shape")) shape.outerHTML = threeSliders(shape);
buildSliders();
for (const select of findAll("[name=opening]")) choices(select, data.openings);
choices(find("#comparing [name=sentence]"), data.sentences);
const covered = data.sentences.map(({ kind }, i) => ({ kind, name: `${kind}, no. ${i + 1}` }));
choices(find("#guessing [name=sentence]"), covered);
for (const select of findAll("[name=model], [name=first]")) choices(select, data.models);
const last = data.models.length - 1;
for (const select of findAll("[name=second]")) choices(select, data.models, last);
findAll("section").forEach(draw);
addEventListener("input", changed);
addEventListener("click", pressed);
addEventListener("reset", reset);
