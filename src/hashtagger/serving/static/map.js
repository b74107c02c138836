// A landmark on a Leaflet map of bundled coastlines and borders, drawn without requests to other servers.
// Streets come from a tile server, if one is configured, and only after the user presses the button for it.
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
    box.remove();  // the address, coordinates and links remain
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
    // Before the page's own stylesheet, which overrides Leaflet's.
    document.head.prepend(element);
  });
}

// Decode TopoJSON: arcs are delta-encoded on a grid and shared; shapes refer to arcs by number, ~number if reversed.
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
    // Touch and wheel gestures over the map still scroll the page.
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
