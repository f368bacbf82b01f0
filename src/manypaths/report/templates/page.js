"use strict";
(() => {
  const { runs, axes } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const color = (i) => css(`--run-${i % 6}`);
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
        width: c.faint ? 1 : 2, spanGaps: true,
        dash: c.dash,
        paths: c.points ? () => null : undefined,
        points: { show: Boolean(c.points), size: 6, fill: color(c.run), stroke: color(c.run) },
      }))],
      hooks: options.line === undefined ? {} : { draw: [(u) => {
        const y = u.valToPos(options.line, "y", true);
        if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
        u.ctx.save(); u.ctx.strokeStyle = css("--soft"); u.ctx.setLineDash([4, 4]); u.ctx.beginPath();
        u.ctx.moveTo(u.bbox.left, y); u.ctx.lineTo(u.bbox.left + u.bbox.width, y); u.ctx.stroke(); u.ctx.restore();
      }] },
    }, tables.length > 1 ? uPlot.join(tables) : tables[0], box);
    charts.push([plot, box]);
  }

  const players = [...new Set(runs.flatMap((r) => r.rows.flatMap((row) => Object.keys(row.loss))))];
  const curve = (run, i, path, keep = () => true) => {
    const rows = run.rows.filter((row) => get(row, path) !== null && keep(row));
    return { run: i, x: rows.map((row) => row[axis]), y: rows.map((row) => get(row, path)) };
  };

  function drawCharts() {
    charts.forEach(([plot]) => plot.destroy());
    charts = [];
    for (const id of ["losses", "noise", "ages"]) document.getElementById(id).replaceChildren();
    const [losses, noise, ages] = ["losses", "noise", "ages"].map((id) => document.getElementById(id));
    for (const player of players) {
      const raw = runs.map((run, i) => curve(run, i, ["loss", player]));
      chart(losses, player, [...raw.map((c) => ({ ...c, faint: true })), ...raw.map((c) => ({ ...c, y: smoothed(c.y) }))], axes[axis]);
      chart(noise, `${player}: variance of the gradient estimate`,
        runs.map((run, i) => curve(run, i, ["noise", player, "variance"])), axes[axis], { logY: true });
      const aged = runs.map((run, i) => {
        const rows = run.rows.filter((row) => get(row, ["noise", player, "ratio"]) !== null && get(row, ["noise", player, "age"]) > 0);
        return { run: i, points: true, x: rows.map((r) => r.noise[player].age), y: rows.map((r) => r.noise[player].ratio) };
      }).filter((c) => c.x.length);
      if (aged.length) chart(ages, `${player}: variance ratio SVRG / mini-batch`, aged, "age of the snapshot, in mini-batches", { logX: true, logY: true, line: 1 });
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
