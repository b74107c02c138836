// Where a landmark is, drawn by Leaflet on coastlines and borders that are packed in; it asks nobody else.
// Streets come from a server of tiles, where this server names one, once a person presses the button that says so.
"use strict";

const OUTLINES_ZOOM = [1, 6];
const STREETS_ZOOM = 18;
let prepared = null;

async function drawMap(box) {
  try {
    const world = await (prepared ??= prepare(box.dataset));
    if (box.isConnected) show(box, world);
  } catch {
    prepared = null;
    box.remove();  // Address, coordinates and links stay.
  }
}

async function prepare({ script, style, world }) {
  const [topology] = await Promise.all([
    fetch(world).then(answer => answer.json()),
    load("script", { src: script }),
    load("link", { rel: "stylesheet", href: style }),
  ]);
  return outlines(topology);
}

function load(tag, attributes) {
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.addEventListener("load", resolve);
    element.addEventListener("error", reject);
    // Before the page's own style, which adapts Leaflet's.
    document.head.prepend(element);
  });
}

// TopoJSON: lines in steps of a grid, each told once, out of which shapes are put together.
function outlines({ arcs, objects, transform: { scale, translate } }) {
  const lines = arcs.map(arc => {
    let x = 0, y = 0;
    return arc.map(([dx, dy]) => [(y += dy) * scale[1] + translate[1], (x += dx) * scale[0] + translate[0]]);
  });
  const ring = numbers => numbers.flatMap((number, place) => {
    const points = number < 0 ? [...lines[~number]].reverse() : lines[number];
    return place ? points.slice(1) : points;
  });
  const polygons = objects.land.geometries.flatMap(shape => shape.type === "Polygon" ? [shape.arcs] : shape.arcs);
  const coasts = new Set(polygons.flat(2).map(number => number < 0 ? ~number : number));
  return {
    land: polygons.map(rings => rings.map(ring)),
    borders: lines.filter((_line, number) => !coasts.has(number)),
  };
}

function show(box, { land, borders }) {
  const { latitude, longitude, name, tiles, zoomIn, zoomOut } = box.dataset;
  const place = [Number(latitude), Number(longitude)];
  const [minZoom, maxZoom] = OUTLINES_ZOOM;
  const map = L.map(box, {
    center: place, zoom: 4, minZoom, maxZoom, attributionControl: false, zoomControl: false,
    // A finger or a wheel over the map goes on moving the page.
    dragging: !L.Browser.mobile, scrollWheelZoom: false,
  });
  L.control.zoom({ zoomInTitle: zoomIn, zoomOutTitle: zoomOut }).addTo(map);
  const drawn = L.layerGroup([
    L.polygon(land, { className: "land", interactive: false }),
    L.polyline(borders, { className: "borders", interactive: false }),
  ]).addTo(map);
  L.marker(place, { icon: L.divIcon({ className: "pin" }), interactive: false, keyboard: false })
    .bindTooltip(name, { permanent: true, direction: "top", offset: [0, -12] }).addTo(map);
  const streets = box.parentElement.querySelector(".streets");
  streets?.addEventListener("click", () => {
    drawn.remove();
    map.setMaxZoom(STREETS_ZOOM).setView(place, 15);
    L.control.attribution({ prefix: false }).addTo(map);
    L.tileLayer(tiles, {
      maxZoom: STREETS_ZOOM, referrerPolicy: "origin",
      attribution: '© <a href="https://www.openstreetmap.org/copyright" target="_blank" rel="noopener">OpenStreetMap</a>',
    }).addTo(map);
    streets.remove();
  }, { once: true });
}
