"use strict";
(() => {
  const { runs, groups, axes, panels } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const groupOf = (run) => groups.findIndex((group) => group.runs.includes(run));
  const color = (run) => css(`--run-${groupOf(run) % 6}`);
  let axis = "evaluations";
  let charts = [];

  const compact = (value) => {
    if (value === null || value === undefined) return "";
    const size = Math.abs(value);
    for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= unit) return +(value / unit).toPrecision(3) + letter;
    }
    return size && size < 1e-3 ? value.toExponential(0) : String(+value.toPrecision(3));
  };
  const get = (row, path) => path.reduce((inner, key) => (inner ?? {})[key], row) ?? null;

  // The running mean that makes a noisy loss readable; the raw values stay visible behind it.
  const smoothed = (values) => {
    let mean = null;
    const keep = Math.min(0.95, 1 - 4 / Math.max(8, values.length));
    return values.map((v) => (v === null ? null : (mean = mean === null ? v : keep * mean + (1 - keep) * v)));
  };

  function card(parent, title) {
    const box = document.createElement("div");
    box.className = "chart";
    const heading = document.createElement("h3");
    heading.textContent = title;
    box.append(heading);
    parent.append(box);
    return box;
  }

  // One chart: curves are [{run, x, y, faint, points}], joined on a common horizontal axis.
  function chart(parent, title, curves, xLabel, options = {}) {
    if (!curves.some((c) => c.y.some((v) => v !== null))) return;
    const box = card(parent, title);
    const tables = curves.map((c) => {
      const order = c.x.map((_, i) => i).sort((a, b) => c.x[a] - c.x[b]);
      // Joining keeps one value per x of a table, so equal ones are told apart by less than a pixel.
      return [order.map((i, rank) => c.x[i] * (1 + rank * 1e-7)), order.map((i) => c.y[i])];
    });
    const positive = curves.every((c) => c.y.every((v) => v === null || v > 0));
    const axisStyle = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
    const plot = new uPlot({
      width: Math.max(280, box.clientWidth), height: 250,
      cursor: { drag: { x: true, y: false } },
      scales: { x: { time: false, distr: options.logX ? 3 : 1 }, y: { distr: options.logY && positive ? 3 : 1 } },
      axes: [
        { ...axisStyle, label: xLabel, labelSize: 22, labelFont: "12px sans-serif", values: (_, ticks) => ticks.map(compact) },
        { ...axisStyle, size: 56, values: (_, ticks) => ticks.map(compact) },
      ],
      series: [{}, ...curves.map((c) => ({
        stroke: c.faint ? color(c.run) + "40" : color(c.run),
        width: c.edge ? 0 : c.faint ? 1 : 2, spanGaps: true,
        dash: c.dash,
        paths: c.points ? () => null : undefined,
        points: { show: Boolean(c.points) || (c.x.length === 1 && !c.edge), size: 6, fill: color(c.run), stroke: color(c.run) },
      }))],
      hooks: options.line === undefined ? {} : { draw: [(u) => {
        const y = u.valToPos(options.line, "y", true);
        if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
        u.ctx.save(); u.ctx.strokeStyle = css("--soft"); u.ctx.setLineDash([4, 4]); u.ctx.beginPath();
        u.ctx.moveTo(u.bbox.left, y); u.ctx.lineTo(u.bbox.left + u.bbox.width, y); u.ctx.stroke(); u.ctx.restore();
      }] },
      bands: options.bands,
    }, tables.length > 1 ? uPlot.join(tables) : tables[0], box);
    charts.push([plot, box]);
    const commands = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "commands";
    const list = document.createElement("pre");
    list.textContent = [...new Set(curves.map((c) => c.run))].map((i) => runs[i].command || `${runs[i].name}: built in Python`).join("\n");
    commands.append(summary, list);
    box.append(commands);
  }

  // Runs that differ in their seed alone become the mean of their values at each step, with the range as a band.
  function banded(path) {
    const curves = [], bands = [];
    groups.forEach((group) => {
      const members = group.runs.map((i) => curve(runs[i], i, path)).filter((c) => c.x.length);
      if (group.runs.length === 1) { curves.push(...members); return; }
      if (!members.length) return; // none of them measured it
      const length = Math.min(...members.map((c) => c.x.length));
      const across = (values, combine) => Array.from({ length }, (_, k) => combine(values.map((v) => v[k]).filter((v) => v !== null)));
      const mean = (v) => (v.length ? v.reduce((a, b) => a + b, 0) / v.length : null);
      const x = across(members.map((c) => c.x), mean), ys = members.map((c) => c.y), run = group.runs[0];
      curves.push({ run, x, y: across(ys, mean) });
      const first = curves.length + 1;
      for (const edge of [Math.max, Math.min]) curves.push({ run, x, edge: true, y: across(ys, (v) => (v.length ? edge(...v) : null)) });
      bands.push({ series: [first, first + 1], fill: color(run) + "2e" });
    });
    return [curves, bands];
  }

  const curve = (run, i, path) => {
    const rows = run.rows.filter((row) => get(row, path) !== null);
    return { run: i, x: rows.map((row) => row[axis]), y: rows.map((row) => get(row, path)) };
  };

  // Points against a number of the same row, on a logarithmic axis of their own.
  function scattered({ path, against }) {
    return runs.map((run, i) => {
      const rows = run.rows.filter((row) => get(row, path) !== null && get(row, against) > 0);
      return { run: i, points: true, x: rows.map((row) => get(row, against)), y: rows.map((row) => get(row, path)) };
    }).filter((c) => c.x.length);
  }

  function draw(box, { title, path, log, smooth, against, against_title, line }) {
    if (against.length) {
      const curves = scattered({ path, against });
      if (curves.length) chart(box, title, curves, against_title, { logX: true, logY: log, line: line ?? undefined });
      return;
    }
    const options = { logY: log, line: line ?? undefined };
    if (smooth && groups.every((group) => group.runs.length === 1)) {
      const raw = runs.map((run, i) => curve(run, i, path));
      const means = raw.map((c) => ({ ...c, y: smoothed(c.y) }));
      chart(box, title, [...raw.map((c) => ({ ...c, faint: true })), ...means], axes[axis], options);
    } else {
      const [curves, bands] = banded(path);
      chart(box, title, curves, axes[axis], { ...options, bands });
    }
  }

  function drawCharts() {
    charts.forEach(([plot]) => plot.destroy());
    charts = [];
    for (const [name, parts] of Object.entries(panels)) {
      const box = document.getElementById(name);
      box.replaceChildren();
      parts.forEach((part) => draw(box, part));
    }
  }

  function drawSamples() {
    const share = Number(document.getElementById("progress").value) / 100;
    const box = document.getElementById("samples");
    box.replaceChildren();
    runs.forEach((run, i) => Object.entries(run.samples).forEach(([which, grids]) => {
      const grid = grids[Math.round(share * (grids.length - 1))];
      const figure = document.createElement("figure");
      figure.className = "grid";
      const image = new Image();
      image.src = grid.image;
      image.alt = `samples of ${run.name}, ${which}, step ${grid.step}`;
      const caption = document.createElement("figcaption");
      caption.innerHTML = `<span class="swatch" style="display:inline-block;vertical-align:-2px;background:${color(i)}"></span> `;
      caption.append(`${run.name} · ${which} · iteration ${grid.step.toLocaleString("en")}`);
      figure.append(image, caption);
      box.append(figure);
    }));
    if (!box.childElementCount) box.textContent = "No images in these runs.";
  }

  function paint() {
    document.querySelectorAll(".swatch[data-run]").forEach((s) => { s.style.background = color(Number(s.dataset.run)); });
    drawSamples();
    drawCharts();
  }

  document.querySelectorAll("[data-axis]").forEach((button) => button.addEventListener("click", () => {
    axis = button.dataset.axis;
    document.querySelectorAll("[data-axis]").forEach((b) => b.setAttribute("aria-pressed", String(b === button)));
    drawCharts();
  }));
  document.getElementById("progress").addEventListener("input", drawSamples);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    paint();
  });
  addEventListener("resize", () => charts.forEach(([plot, box]) => plot.setSize({ width: box.clientWidth, height: 250 })));
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  paint();
})();
