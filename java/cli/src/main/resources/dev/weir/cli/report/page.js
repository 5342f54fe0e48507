"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function element(parent, tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}
const byId = id => document.getElementById(id);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const grouped = n => Math.round(n).toLocaleString("en");

document.title = "Weir: " + data.title;
byId("title").textContent = data.title;
byId("lead").textContent = data.lead;
for (const fact of data.facts) {
  element(byId("facts"), "dt", "", fact.label);
  element(byId("facts"), "dd", "", fact.value);
}

function table(id, columns, rows) {
  const head = element(byId(id).tHead, "tr");
  columns.forEach(column => element(head, "th", "", column));
  for (const row of rows) {
    const line = element(byId(id).tBodies[0], "tr", row.starts_group ? "group" : "");
    element(line, "td", "", row.label);
    row.values.forEach(value => element(line, "td", "", value));
  }
}

function legend(parent, entries) {
  for (const [kind, name, text] of entries) {
    const entry = element(parent, "span");
    const mark = element(entry, "i", kind);
    mark.style.background = `var(--${name})`;
    mark.style.borderColor = `var(--${name})`;
    entry.append(text);
  }
}

const charts = [];
function panel(parent, title, text) {
  const card = element(parent, "div", "card");
  element(card, "h3", "", title);
  element(card, "p", "soft", text);
  return card;
}
function plot(card, className, height, label, make) {
  const holder = element(card, "div", "plot " + className);
  if (height) holder.style.height = height + "px";
  const canvas = element(holder, "canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  charts.push({canvas, make, chart: null});
}
const points = (x, y) => x.map((value, i) => ({x: value, y: y[i]}));
function axis(title, more) {
  return {
    type: "linear", beginAtZero: true, border: {color: colour("line")}, grid: {color: colour("grid")},
    ticks: {color: colour("soft"), maxTicksLimit: 7},
    title: {display: !!title, text: title, color: colour("soft")}, ...more,
  };
}
const fixedWidth = {afterFit: scale => { scale.width = 78; }};
const common = () => ({
  animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
  layout: {autoPadding: false, padding: {top: 6, right: 14}},
  interaction: {mode: "nearest", axis: "x", intersect: false},
});
function line(label, xy, name, more) {
  return {label, data: xy, borderColor: colour(name), borderWidth: 1.6, pointRadius: 0, pointHitRadius: 6, ...more};
}

Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
function draw() {
  for (const entry of charts) {
    if (entry.chart) entry.chart.destroy();
    entry.chart = new Chart(entry.canvas, entry.make());
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

function stabilityChart(legendParent, parent, stability) {
  legend(legendParent, [
    ["rule", "fluid", "largest stable rate \u03bc"],
    ["", "stable-fill", "stable"],
    ["", "unstable-fill", "unstable"],
    ...(stability.loads.some(load => !load.measured) ? [["dot", "capacity", "you are here"]] : []),
    ...(stability.loads.some(load => load.measured) ? [["dot", "kv", "completed, as measured"]] : []),
  ]);
  const curve = points(stability.output_tokens, stability.sustainable_rates);
  // A curve like 1/x would leave everything of interest in the lower left corner.
  const interesting = Math.max(...stability.loads.map(load => load.requests_per_second),
    ...curve.filter(p => stability.loads.some(load => p.x >= load.output_tokens / 2)).map(p => p.y));
  plot(parent, "stability", 0, "Largest stable arrival rate over mean output length", () => ({
    type: "line",
    data: {datasets: [
      ...stability.loads.map(load => ({
        label: load.label, type: "scatter", data: [{x: load.output_tokens, y: load.requests_per_second}],
        backgroundColor: colour(load.measured ? "kv" : "capacity"), pointRadius: load.measured ? 5 : 6,
        pointStyle: load.measured ? "circle" : "rectRot", pointHoverRadius: 8, borderWidth: 0,
      })),
      line("\u03bc", curve, "fluid", {
        fill: "start", backgroundColor: colour("stable-fill"), borderWidth: 2, tension: .2, order: 1,
      }),
      line("unstable", curve, "fluid", {
        fill: "end", backgroundColor: colour("unstable-fill"), borderWidth: 0, tension: .2, order: 2,
      }),
    ]},
    options: {
      ...common(), interaction: {mode: "nearest", axis: "xy", intersect: false},
      scales: {
        x: axis("mean output tokens", {min: 0, max: stability.output_tokens[stability.output_tokens.length - 1],
          ticks: {color: colour("soft"), callback: v => grouped(v)}}),
        y: axis("requests/s", {min: 0, max: interesting * 1.15, ...fixedWidth}),
      },
      plugins: {
        legend: {display: false},
        tooltip: {filter: item => item.dataset.label !== "unstable", callbacks: {
          title: () => "",
          label: item => `${item.dataset.label}: ${item.parsed.y.toPrecision(3)} requests/s at ${grouped(item.parsed.x)} tokens`,
        }},
      },
    },
  }));
}
