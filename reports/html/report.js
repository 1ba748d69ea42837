'use strict';
// Conveniences only: without scripts the report still shows everything.
(() => {
  const root = document.documentElement;
  const isDark = () => root.dataset.theme
      ? root.dataset.theme === 'dark'
      : matchMedia('(prefers-color-scheme: dark)').matches;
  const theme = document.getElementById('theme');
  const label = () => { theme.textContent = isDark() ? 'Light' : 'Dark'; };
  theme.hidden = false;
  theme.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    label();
  });
  label();

  // Findings: search and level.
  const search = document.getElementById('search');
  if (search) {
    const findings = [...document.querySelectorAll('.finding')];
    const shown = document.getElementById('shown');
    const levels = [...document.querySelectorAll('[data-level-filter]')];
    let level = '';
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const item of findings) {
        const text = item.textContent.toLowerCase();
        const hit = (!level || item.dataset.level === level) &&
            words.every(word => text.includes(word));
        item.hidden = !hit;
        count += hit;
      }
      shown.textContent = count + ' of ' + findings.length;
    };
    search.addEventListener('input', apply);
    for (const button of levels) {
      button.addEventListener('click', () => {
        level = level === button.dataset.levelFilter ? '' : button.dataset.levelFilter;
        for (const other of levels) {
          other.setAttribute('aria-pressed', String(other.dataset.levelFilter === level));
        }
        apply();
      });
    }
    document.getElementById('tools').hidden = false;
    apply();
  }
  const failing = document.getElementById('only-failing');
  if (failing) {
    failing.hidden = false;
    failing.addEventListener('click', () => {
      const on = failing.getAttribute('aria-pressed') !== 'true';
      failing.setAttribute('aria-pressed', String(on));
      for (const row of document.querySelectorAll('tr[data-verdict]')) {
        row.hidden = on && (row.dataset.verdict === 'pass' || row.dataset.verdict === 'skip');
      }
    });
  }

  // Charts: a cursor that names the values under it.
  const seconds = value => value >= 1 ? value.toPrecision(4) + ' s'
      : value >= 1e-3 ? (value * 1e3).toPrecision(3) + ' ms' : (value * 1e6).toPrecision(3) + ' µs';
  const plain = value => Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en')
      : String(+value.toPrecision(4));
  for (const figure of document.querySelectorAll('figure[data-chart]')) {
    const chart = JSON.parse(figure.querySelector('script').textContent);
    const svg = figure.querySelector('svg');
    const cursor = figure.querySelector('.cursor');
    const values = [...figure.querySelectorAll('.legend b')];
    const [left, right] = chart.box;
    const toX = pixel => {
      const share = (pixel - left) / (right - left);
      return chart.log ? chart.x[0] * (chart.x[1] / chart.x[0]) ** share
          : chart.x[0] + share * (chart.x[1] - chart.x[0]);
    };
    const last = (xs, x) => {
      let low = 0, high = xs.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (xs[middle] <= x) low = middle + 1; else high = middle;
      }
      return low - 1;
    };
    svg.addEventListener('pointermove', event => {
      const rect = svg.getBoundingClientRect();
      const pixel = (event.clientX - rect.left) * svg.viewBox.baseVal.width / rect.width;
      if (pixel < left || pixel > right) return;
      const x = toX(pixel);
      cursor.setAttribute('x1', pixel);
      cursor.setAttribute('x2', pixel);
      cursor.style.visibility = 'visible';
      chart.series.forEach((series, i) => {
        const at = last(series.x, x);
        const y = at < 0 ? null : series.y[at];
        values[i].textContent = y === null ? '' : chart.cdf ? (y * 100).toFixed(1) + ' %' : plain(y);
      });
      figure.querySelector('.at').textContent =
          (chart.seconds ? seconds(x) : plain(x)) + ' ';
    });
    svg.addEventListener('pointerleave', () => {
      cursor.style.visibility = 'hidden';
      for (const value of values) value.textContent = '';
      figure.querySelector('.at').textContent = '';
    });
  }
})();
