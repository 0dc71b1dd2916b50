// Finds what is clipped, too wide or written over something else; a sentence for each. The value of this expression.
(() => {
  const SLACK = 1.5;  // pixels, for what browsers round
  const SMALLEST = 9;  // pixels of a font that can be read
  const found = new Set();
  const scrolls = (style, axis) => ["auto", "scroll"].includes(axis === "x" ? style.overflowX : style.overflowY);
  const hides = (style) => ["hidden", "clip"].includes(style.overflowX) || ["hidden", "clip"].includes(style.overflowY);

  const named = (element) => {
    const name = element.tagName.toLowerCase() + (element.id ? `#${element.id}` : "")
      + [...element.classList].map((one) => `.${one}`).join("");
    const text = (element.textContent || "").trim().replace(/\s+/g, " ");
    return text ? `${name} "${text.slice(0, 50)}"` : name;
  };
  const visible = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && !element.closest("[aria-hidden=true].unseen");
  const ancestors = function* (element) {
    for (let one = element.parentElement; one; one = one.parentElement) yield one;
  };
  // What people see of a rectangle: less what lies outside of the boxes around it that scroll or hide.
  const seen = (rectangle, element) => {
    let { left, right, top, bottom } = rectangle;
    for (const around of ancestors(element)) {
      if (around === document.body || around === document.documentElement) break;
      const style = getComputedStyle(around), box = around.getBoundingClientRect();
      if (scrolls(style, "x") || hides(style)) { left = Math.max(left, box.left); right = Math.min(right, box.right); }
      if (scrolls(style, "y") || hides(style)) { top = Math.max(top, box.top); bottom = Math.min(bottom, box.bottom); }
    }
    return { left, right, top, bottom };
  };
  const over = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > SLACK
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > SLACK;
  const inScroller = (element) => [...ancestors(element)].some((around) =>
    around !== document.documentElement && around !== document.body && scrolls(getComputedStyle(around), "x"));

  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width + SLACK)
    found.add(`the page is ${document.documentElement.scrollWidth} px wide in a window of ${width} px`);

  const elements = [...document.body.querySelectorAll("*")].filter(visible);
  for (const element of elements) {
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (box.width < 1 || box.height < 1) continue;
    const inside = inScroller(element);
    if (!inside && (box.right > width + SLACK || box.left < -SLACK)) found.add(`outside of the window: ${named(element)}`);
    const svg = element.ownerSVGElement;
    if (svg) continue;
    const parent = element.parentElement.getBoundingClientRect(), around = getComputedStyle(element.parentElement);
    const placed = ["absolute", "fixed"].includes(style.position) || style.display === "inline" || around.display === "contents";
    if (!placed && !scrolls(around, "x") && box.width > parent.width + SLACK)
      found.add(`wider than its parent: ${named(element)} (${Math.round(box.width)} of ${Math.round(parent.width)} px)`);
    if (hides(style) && !scrolls(style, "x") && element.scrollWidth > element.clientWidth + SLACK && element.clientWidth > 1)
      found.add(`clipped: ${named(element)}`);
  }

  // Every line of text with the box that it is seen in.
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !visible(element) || ["SCRIPT", "STYLE", "TITLE", "OPTION"].includes(element.tagName.toUpperCase())) continue;
    if (element.ownerSVGElement) continue;
    if (parseFloat(getComputedStyle(element).fontSize) < SMALLEST) found.add(`text below ${SMALLEST} px: ${named(element)}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    let block = element;
    while (getComputedStyle(block).display === "inline") block = block.parentElement;
    const box = block.getBoundingClientRect(), loose = scrolls(getComputedStyle(block), "x");
    for (const line of range.getClientRects()) {
      if (line.width < 1) continue;
      if (!loose && (line.right > box.right + SLACK || line.left < box.left - SLACK))
        found.add(`text beyond its box: ${named(element)}`);
      const part = seen(line, element);
      if (part.right - part.left > SLACK && part.bottom - part.top > SLACK) lines.push({ ...part, element });
    }
  }
  lines.sort((one, other) => one.top - other.top);
  // Line boxes of one paragraph touch and may share pixels: only the middle of each line counts.
  const middle = (line) => {
    const rim = (line.bottom - line.top) * 0.2;
    return { left: line.left, right: line.right, top: line.top + rim, bottom: line.bottom - rim };
  };
  const stuck = (element) => [element, ...ancestors(element)].some((one) => ["sticky", "fixed"].includes(getComputedStyle(one).position));
  for (let i = 0; i < lines.length; i++) {
    for (let j = i + 1; j < lines.length && lines[j].top < lines[i].bottom; j++) {
      if (!over(middle(lines[i]), middle(lines[j])) || lines[i].element === lines[j].element) continue;
      if (stuck(lines[i].element) !== stuck(lines[j].element)) continue;  // what scrolls goes below what sticks
      found.add(`text over text: ${named(lines[i].element)} and ${named(lines[j].element)}`);
    }
  }

  for (const svg of document.querySelectorAll("svg")) {
    if (!visible(svg)) continue;
    const frame = svg.getBoundingClientRect();
    if (frame.width < 1) continue;
    const labels = [...svg.querySelectorAll("text")].filter((text) => visible(text) && text.textContent.trim());
    const boxes = labels.map((label) => label.getBoundingClientRect());
    labels.forEach((label, i) => {
      const size = parseFloat(getComputedStyle(label).fontSize) * (label.getScreenCTM()?.a || 1);
      const upright = label.getScreenCTM()?.b === 0;
      if (upright && size < SMALLEST) found.add(`text below ${SMALLEST} px in a figure: ${named(label)}`);
      const box = boxes[i];
      if (box.left < frame.left - SLACK || box.right > frame.right + SLACK || box.top < frame.top - SLACK || box.bottom > frame.bottom + SLACK)
        found.add(`beyond its figure: ${named(label)}`);
      for (let j = i + 1; j < labels.length; j++)
        if (over(middle(box), middle(boxes[j]))) found.add(`labels over each other: ${named(label)} and ${named(labels[j])}`);
    });
  }
  return [...found];
})()
