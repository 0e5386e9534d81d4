// The drawing over the image: one SVG in image coordinates whose nodes are built once per result and only shown or hidden later.
// Every line is drawn twice, dark and wide under bright and thin, so that it can be seen on any ground.

import { clamp, makeSvg, setAttribute, show } from "./dom.js";
import { boxToPath, ringsToPath } from "./geometry.js";

export const OVERLAY_LAYERS = ["masks", "contours", "boxes", "skeletons"];
/** @type {Side[]} */
const SIDES = ["left", "right", "center"];
// A limb is at most this share of the person's longer side, as in visualization/skeleton.py.
const LIMBS_PER_PERSON = 40;

/** @param {SVGElement} svg */
export function createOverlay(svg) {
  const camera = makeSvg("g", "", svg);
  /** @type {Record<string, SVGElement>} */
  const layers = Object.fromEntries(OVERLAY_LAYERS.map((name) => [name, makeSvg("g", `dv-layer-${name}`, camera)]));
  /** @type {{ nodes: SVGElement[], skeleton: ReturnType<typeof createSkeleton> | null }[]} */
  let drawn = [];

  /**
   * Large objects first, so that small ones lie on top. An object's `look` is a class that its nodes have.
   * @param {Drawing | null} result
   */
  function setObjects(result) {
    Object.values(layers).forEach((layer) => layer.replaceChildren());
    const objects = result?.objects ?? [];
    drawn = objects.map(() => ({ nodes: [], skeleton: null }));
    const bySize = objects.map((_, i) => i).sort((a, b) => objects[b].area - objects[a].area);
    if (result) for (const i of bySize) drawObject(objects[i], drawn[i], result);
  }

  /** @param {Drawn} object @param {typeof drawn[number]} target @param {Drawing} result */
  function drawObject(object, target, result) {
    const add = (/** @type {string} */ name, /** @type {"g" | "path"} */ tag = "g") => {
      const node = makeSvg(tag, object.look ? `dv-object ${object.look}` : "dv-object", layers[name]);
      node.style.setProperty("--color", object.color);
      show(node, false);
      target.nodes.push(node);
      return node;
    };
    if (object.polygons) {
      const path = ringsToPath(object.polygons);
      add("masks", "path").setAttribute("d", path);
      drawLine(add("contours"), path);
    }
    drawLine(add("boxes"), boxToPath(object.box));
    if (object.keypoints) target.skeleton = createSkeleton(add("skeletons"), { keypoints: object.keypoints, box: object.box }, result);
  }

  return {
    setObjects,
    /** @param {number} index @param {boolean} visible */
    setVisible: (index, visible) => drawn[index].nodes.forEach((node) => show(node, visible)),
    /**
     * Moves an object away from where it was found, in pixels of the image.
     * @param {number} index
     * @param {number} dx
     * @param {number} dy
     */
    setMotion: (index, dx, dy) => drawn[index].nodes.forEach((node) => node.setAttribute("transform", `translate(${dx} ${dy})`)),
    /** @param {number} threshold */
    setKeypointThreshold: (threshold) => drawn.forEach(({ skeleton }) => skeleton?.setThreshold(threshold)),
    /** @param {string} name @param {boolean} visible */
    setLayer: (name, visible) => show(layers[name], visible),
    /** @param {number} opacity */
    setOpacity: (opacity) => setAttribute(layers.masks, "opacity", opacity),
    /** @param {{ scale: number, x: number, y: number }} camera */
    setCamera({ scale, x, y }) {
      camera.setAttribute("transform", `matrix(${scale} 0 0 ${scale} ${x} ${y})`);
      drawn.forEach(({ skeleton }) => skeleton?.setScale(scale));
    },
    /** Emphasises some objects and dims the rest; none dims nothing. @param {number[]} indices */
    setActive(indices) {
      svg.classList.toggle("dv-has-active", indices.length > 0);
      drawn.forEach(({ nodes }, i) => nodes.forEach((node) => node.classList.toggle("dv-active", indices.includes(i))));
    },
  };
}

/** @param {SVGElement} group @param {string} path */
function drawLine(group, path) {
  makeSvg("path", "dv-halo", group).setAttribute("d", path);
  makeSvg("path", "dv-line", group).setAttribute("d", path);
}

/**
 * Builds one person's paths; they stay empty until a threshold says which keypoints count.
 * @param {SVGElement} group
 * @param {{ keypoints: number[][], box: Box }} object
 * @param {Drawing} result
 */
function createSkeleton(group, { keypoints, box }, { edges, keypoint_names: names }) {
  const add = (/** @type {string} */ className) => makeSvg("path", className, group);
  const limbHalo = add("dv-limb-halo");
  /** @type {Record<string, SVGElement>} */
  const limbs = Object.fromEntries(SIDES.map((side) => [side, add(`dv-limb dv-${side}`)]));
  const keypointHalo = add("dv-keypoint-halo");
  /** @type {Record<string, SVGElement>} */
  const dots = Object.fromEntries(SIDES.map((side) => [side, add(`dv-keypoint dv-${side}`)]));
  const sideOf = (/** @type {string | undefined} */ name) => SIDES.find((side) => name?.startsWith(`${side}_`)) ?? "center";
  const longerSide = Math.max(box[2] - box[0], box[3] - box[1]);

  /** @param {number} threshold */
  function setThreshold(threshold) {
    const limbPaths = { left: "", right: "", center: "" };
    const keypointPaths = { left: "", right: "", center: "" };
    const seen = keypoints.map(([, , logit]) => logit > threshold);
    for (const [a, b, side] of edges) {
      if (seen[a] && seen[b]) limbPaths[side] += `M${keypoints[a][0]} ${keypoints[a][1]}L${keypoints[b][0]} ${keypoints[b][1]}`;
    }
    // A line of no length with round ends is a dot whose size does not depend on the zoom.
    keypoints.forEach(([x, y], i) => {
      if (seen[i]) keypointPaths[sideOf(names[i])] += `M${x} ${y}h.01`;
    });
    limbHalo.setAttribute("d", SIDES.map((side) => limbPaths[side]).join(""));
    keypointHalo.setAttribute("d", SIDES.map((side) => keypointPaths[side]).join(""));
    for (const side of SIDES) {
      limbs[side].setAttribute("d", limbPaths[side]);
      dots[side].setAttribute("d", keypointPaths[side]);
    }
  }

  return {
    setThreshold,
    /** @param {number} scale */
    setScale: (scale) => group.style.setProperty("--limb", `${clamp((longerSide * scale) / LIMBS_PER_PERSON, 1, 3)}px`),
  };
}
