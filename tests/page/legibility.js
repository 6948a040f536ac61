// What a reader can make out of the page as it stands: contrast of text, and what is cut off.
const legibility = (() => {
  const AA = 4.5; // WCAG 2.1, 1.4.3
  const AA_LARGE = 3;

  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});

  // Any CSS colour as [red, green, blue, alpha], alpha in [0, 1].
  const parsed = new Map();
  function rgba(colour) {
    if (!parsed.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      parsed.set(colour, [red, green, blue, alpha / 255]);
    }
    return parsed.get(colour);
  }

  function over(front, back) {
    const alpha = front[3];
    return [...[0, 1, 2].map(i => alpha * front[i] + (1 - alpha) * back[i]), 1];
  }

  function luminance(colour) {
    const [red, green, blue] = colour.slice(0, 3).map(value => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function contrast(one, other) {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  // The colour behind an element: its own and its ancestors' backgrounds on a white sheet.
  function behind(element) {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reduceRight((back, front) => over(front, back), [255, 255, 255, 1]);
  }

  function isShown(element) {
    return element.checkVisibility({opacityProperty: true, visibilityProperty: true}) &&
      element.getBoundingClientRect().width > 1;
  }

  function named(element) {
    const name = element.getAttribute("class")?.trim().replace(/\s+/g, ".");
    return element.tagName.toLowerCase() + (name ? "." + name : "");
  }

  // Texts below the contrast that WCAG asks for: [what, contrast].
  function pale() {
    const found = new Map();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !isShown(element)) continue;
      const style = getComputedStyle(element);
      const back = behind(element);
      const measured = contrast(over(rgba(style.color), back), back);
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      if (measured < (isLarge ? AA_LARGE : AA)) {
        found.set(`${named(element)}: ${texts.currentNode.data.trim().slice(0, 30)}`, measured);
      }
    }
    return [...found];
  }

  function pictures() {
    return [...document.querySelectorAll(".bd-article figure img")].filter(isShown);
  }

  function source(image) {
    return image.getAttribute("src").slice(0, 80);
  }

  // Figures whose ground, as drawn and as shown, does not carry black labels: [source, contrast].
  function sunk() {
    return pictures().map(image => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.drawImage(image, 0, 0, 1, 1, 0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      const ground = over([red, green, blue, alpha / 255], behind(image));
      const filter = getComputedStyle(image).filter;
      return [source(image), filter === "none" ? contrast([0, 0, 0], ground) : 0];
    }).filter(([, measured]) => measured < 3 * AA);
  }

  function scrolls(element) {
    return ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  }

  // Whether an element hides a part of what it holds. A formula holds a wider one, for ears alone.
  function clips(element) {
    if (!["hidden", "clip"].includes(getComputedStyle(element).overflowX)) return false;
    const formula = element.querySelector("mjx-container");
    const held = formula ? formula.getBoundingClientRect().width : element.scrollWidth;
    return held > element.clientWidth + 1;
  }

  // Elements that reach out of the window, or are cut, where nothing scrolls them into view.
  function cut() {
    const width = document.documentElement.clientWidth;
    const found = [];
    for (const element of document.querySelectorAll(".bd-main *")) {
      if (!isShown(element) || element.closest("mjx-assistive-mml, svg")) continue;
      const box = element.getBoundingClientRect();
      let scroller = element.parentElement;
      while (scroller && scroller !== document.body && !scrolls(scroller)) {
        scroller = scroller.parentElement;
      }
      const isInBox = scroller && scroller !== document.body;
      const right = isInBox ? scroller.getBoundingClientRect().right : width;
      const mayScroll = isInBox && element.tagName !== "IMG"; // a picture is seen as a whole
      if ((box.right > right + 1 || box.left < -1) && !mayScroll) found.push(named(element));
      if (clips(element)) found.push(named(element));
    }
    if (document.documentElement.scrollWidth > width) found.push("the page");
    return found;
  }

  // Elements that show a part of what they hold and a bar to scroll it with.
  function scrolled() {
    return [...document.querySelectorAll(".bd-article *")]
      .filter(element => scrolls(element) && element.scrollWidth > element.clientWidth + 1)
      .map(named);
  }

  // Widths of the figures, in CSS pixels and in pixels of the picture: [source, shown, drawn].
  function figures() {
    return pictures().map(image => {
      const style = getComputedStyle(image);
      const inner = image.clientWidth - parseFloat(style.paddingLeft) -
        parseFloat(style.paddingRight);
      return [source(image), inner, image.naturalWidth];
    });
  }

  return {pale, sunk, cut, scrolled, figures};
})();
