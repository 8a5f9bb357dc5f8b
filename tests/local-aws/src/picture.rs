//! The picture of the machines, drawn from their definitions: states in layers from top to bottom,
//! in the order within each layer in which the fewest arrows cross.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::prepare::root;

/// Where the picture is checked in, from the workspace's folder.
pub const FILE: &str = "docs/machines.svg";

const MACHINES: [&str; 2] = ["lifecycle", "operation"];
const LAYER_HEIGHT: f64 = 104.0;
const NODE_HEIGHT: f64 = 44.0;
const GAP: f64 = 26.0;
const MARGIN: f64 = 28.0;
const TOP: f64 = 70.0;

/// Draws both machines side by side.
pub fn draw() -> Result<String> {
    let mut pictures = vec![];
    for name in MACHINES {
        let text = fs::read_to_string(root().join(format!("state-machine/{name}.asl.json")))?;
        let machine: Value = serde_json::from_str(&text)?;
        pictures.push((name, Graph::of(&machine).with_context(|| format!("{name} has no states"))?.lay_out()));
    }
    let width = pictures.iter().map(|(_, picture)| picture.width + 2.0 * MARGIN).sum::<f64>();
    let height = pictures.iter().map(|(_, picture)| picture.height()).fold(0.0, f64::max) + TOP + 2.0 * MARGIN;
    let mut svg = String::new();
    // A ground of its own keeps it legible on light and dark pages.
    write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" font-family="Helvetica, Arial, sans-serif" font-size="14" text-anchor="middle">
<title>The state machines lifecycle and operation</title>
<rect x="0.5" y="0.5" width="{:.0}" height="{:.0}" rx="12" fill="#ffffff" stroke="#cbd5e1"/>
"##,
        width - 1.0,
        height - 1.0
    )?;
    let mut left = 0.0;
    for (name, picture) in &pictures {
        let middle = left + MARGIN + picture.width / 2.0;
        writeln!(
            svg,
            r##"<text x="{middle:.1}" y="36" font-size="18" font-weight="bold" fill="#0f172a">{name}</text>"##
        )?;
        writeln!(svg, r#"<g transform="translate({:.1} {TOP})">"#, left + MARGIN)?;
        picture.write(&mut svg)?;
        writeln!(svg, "</g>")?;
        left += picture.width + 2.0 * MARGIN;
    }
    let legend = height - 18.0;
    writeln!(
        svg,
        r##"<g stroke="#475569" stroke-width="1.5"><path d="M{MARGIN} {0:.0}h34"/><path d="M150 {0:.0}h34" stroke-dasharray="5 4"/></g>
<g text-anchor="start" font-size="12" fill="#334155"><text x="70" y="{1:.0}">then</text><text x="192" y="{1:.0}">on an error</text></g>
</svg>"##,
        legend,
        legend + 4.0
    )?;
    Ok(svg)
}

/// A state, or a point that an arrow over several layers goes through.
#[derive(Clone, Debug)]
struct Node {
    name: String,
    kind: String,
    /// What a Task calls.
    calls: Option<String>,
    layer: usize,
    width: f64,
    x: f64,
}

/// An arrow, always from an upper layer to a lower one.
#[derive(Clone, Debug)]
struct Arrow {
    /// The nodes it goes through.
    path: Vec<usize>,
    down: bool,
    up: bool,
    on_error: bool,
}

#[derive(Debug)]
struct Graph {
    nodes: Vec<Node>,
    arrows: Vec<Arrow>,
}

#[derive(Debug)]
struct Picture {
    graph: Graph,
    width: f64,
}

impl Graph {
    fn of(machine: &Value) -> Option<Self> {
        let states = machine["States"].as_object()?;
        let names: Vec<&String> = states.keys().collect();
        let number = |name: &str| names.iter().position(|other| *other == name);
        let mut edges: BTreeMap<(usize, usize), bool> = BTreeMap::new();
        for (from, state) in states.values().enumerate() {
            for (target, on_error) in targets(state) {
                let only_on_error = edges.entry((from, number(target)?)).or_insert(true);
                *only_on_error &= on_error;
            }
        }
        let start = number(machine["StartAt"].as_str()?)?;
        let mut back = vec![];
        find_back_edges(start, &edges, &mut vec![], &mut vec![false; names.len()], &mut back);
        let forward: Vec<_> = edges.keys().copied().filter(|edge| !back.contains(edge)).collect();
        let layers = longest_paths(names.len(), &forward);
        let nodes = states.iter().zip(layers).map(|((name, state), layer)| node(name, state, layer)).collect();
        let mut graph = Self { nodes, arrows: vec![] };
        for (&(from, to), &on_error) in &edges {
            let is_back = back.contains(&(from, to));
            let opposite = edges.contains_key(&(to, from));
            if is_back && opposite {
                continue;
            }
            let (upper, lower) = if is_back { (to, from) } else { (from, to) };
            let path = graph.path(upper, lower);
            graph.arrows.push(Arrow { path, down: !is_back, up: is_back || opposite, on_error });
        }
        Some(graph)
    }

    /// The nodes between two, with a new point in each layer between theirs.
    fn path(&mut self, upper: usize, lower: usize) -> Vec<usize> {
        let mut path = vec![upper];
        for layer in self.nodes[upper].layer + 1..self.nodes[lower].layer {
            path.push(self.nodes.len());
            let point = Node { name: String::new(), kind: String::new(), calls: None, layer, width: 8.0, x: 0.0 };
            self.nodes.push(point);
        }
        path.push(lower);
        path
    }

    fn lay_out(mut self) -> Picture {
        let depth = self.nodes.iter().map(|node| node.layer).max().unwrap_or_default() + 1;
        let mut layers = vec![vec![]; depth];
        for (number, node) in self.nodes.iter().enumerate() {
            layers[node.layer].push(number);
        }
        let links: Vec<(usize, usize)> =
            self.arrows.iter().flat_map(|arrow| arrow.path.windows(2).map(|pair| (pair[0], pair[1]))).collect();
        for _ in 0..4 {
            for layer in (0..depth).chain((0..depth).rev()) {
                layers[layer] = best_order(layer, &layers, &links);
            }
        }
        self.place(&layers, &links);
        let left = self.nodes.iter().map(|node| node.x - node.width / 2.0).fold(f64::MAX, f64::min);
        for node in &mut self.nodes {
            node.x -= left;
        }
        let width = self.nodes.iter().map(|node| node.x + node.width / 2.0).fold(0.0, f64::max);
        Picture { graph: self, width }
    }

    /// Moves each node towards the middle of its neighbours, as far as those beside it let it.
    fn place(&mut self, layers: &[Vec<usize>], links: &[(usize, usize)]) {
        for layer in layers {
            let mut x = 0.0;
            for &number in layer {
                self.nodes[number].x = x + self.nodes[number].width / 2.0;
                x += self.nodes[number].width + GAP;
            }
        }
        for _ in 0..60 {
            for layer in layers {
                let wanted: Vec<f64> = layer.iter().map(|&number| self.middle_of_neighbours(number, links)).collect();
                let apart = |a: usize, b: usize| (self.nodes[a].width + self.nodes[b].width) / 2.0 + GAP;
                let mut from_left = wanted.clone();
                let mut from_right = wanted;
                for i in 1..layer.len() {
                    from_left[i] = from_left[i].max(from_left[i - 1] + apart(layer[i - 1], layer[i]));
                }
                for i in (1..layer.len()).rev() {
                    from_right[i - 1] = from_right[i - 1].min(from_right[i] - apart(layer[i - 1], layer[i]));
                }
                for (i, &number) in layer.iter().enumerate() {
                    self.nodes[number].x = f64::midpoint(from_left[i], from_right[i]);
                }
            }
        }
    }

    fn middle_of_neighbours(&self, number: usize, links: &[(usize, usize)]) -> f64 {
        let upper = links.iter().filter(|link| link.1 == number).map(|link| link.0);
        let lower = links.iter().filter(|link| link.0 == number).map(|link| link.1);
        let places: Vec<f64> = upper.chain(lower).map(|other| self.nodes[other].x).collect();
        #[expect(clippy::cast_precision_loss, reason = "a state has few neighbours")]
        let count = places.len() as f64;
        if places.is_empty() { self.nodes[number].x } else { places.iter().sum::<f64>() / count }
    }
}

fn node(name: &str, state: &Value, layer: usize) -> Node {
    let kind = state["Type"].as_str().unwrap_or_default().to_owned();
    let arguments = &state["Arguments"];
    let called = |value: &Value| Some(value.as_str()?.strip_prefix("${")?.split("Arn}").next()?.to_owned());
    let calls = called(&arguments["FunctionName"]).or_else(|| called(&arguments["StateMachineArn"]));
    let calls = calls.map(|name| {
        let name = name.strip_suffix("Function").or(name.strip_suffix("Machine")).unwrap_or(&name);
        name.char_indices().fold(String::new(), |mut words, (at, c)| {
            if at > 0 && c.is_ascii_uppercase() {
                words.push('-');
            }
            words.push(c.to_ascii_lowercase());
            words
        })
    });
    #[expect(clippy::cast_precision_loss, reason = "a name is short")]
    let width = name.chars().count() as f64 * 7.4 + 34.0;
    Node { name: name.to_owned(), kind, calls, layer, width, x: 0.0 }
}

/// The states a state leads to, and whether by an error.
fn targets(state: &Value) -> Vec<(&str, bool)> {
    let next = |value: &Value| value["Next"].as_str().is_some();
    let list = |field: &str| state[field].as_array().into_iter().flatten().filter(|one| next(one));
    let choices = list("Choices").map(|choice| (&choice["Next"], false));
    let catches = list("Catch").map(|catch| (&catch["Next"], true));
    let own = [&state["Next"], &state["Default"]].map(|target| (target, false));
    choices.chain(catches).chain(own).filter_map(|(target, error)| Some((target.as_str()?, error))).collect()
}

fn find_back_edges(
    at: usize,
    edges: &BTreeMap<(usize, usize), bool>,
    above: &mut Vec<usize>,
    seen: &mut [bool],
    back: &mut Vec<(usize, usize)>,
) {
    seen[at] = true;
    above.push(at);
    for &(from, to) in edges.keys().filter(|edge| edge.0 == at) {
        if above.contains(&to) {
            back.push((from, to));
        } else if !seen[to] {
            find_back_edges(to, edges, above, seen, back);
        }
    }
    above.pop();
}

/// How many arrows lead to each node at the most.
fn longest_paths(nodes: usize, forward: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0; nodes];
    for _ in 0..nodes {
        for &(from, to) in forward {
            layers[to] = layers[to].max(layers[from] + 1);
        }
    }
    layers
}

/// The order of a layer with the fewest crossings, and among those with the shortest arrows.
fn best_order(layer: usize, layers: &[Vec<usize>], links: &[(usize, usize)]) -> Vec<usize> {
    let mut tried = layers.to_vec();
    let mut best = layers[layer].clone();
    let mut least = cost(&tried, links);
    permute(&layers[layer], &mut |order| {
        tried[layer].clear();
        tried[layer].extend_from_slice(order);
        let cost = cost(&tried, links);
        if cost < least {
            least = cost;
            best = order.to_vec();
        }
    });
    best
}

fn cost(layers: &[Vec<usize>], links: &[(usize, usize)]) -> (usize, usize) {
    // Of each node its layer, and twice the distance from the layer's middle.
    let mut places = vec![(0, 0); layers.iter().map(Vec::len).sum()];
    for (height, layer) in layers.iter().enumerate() {
        for (place, &number) in layer.iter().enumerate() {
            places[number] = (height, (2 * place + 64).saturating_sub(layer.len()));
        }
    }
    let spans: Vec<_> = links.iter().map(|&(a, b)| (places[a].0, places[a].1, places[b].1)).collect();
    let mut crossings = 0;
    for (i, one) in spans.iter().enumerate() {
        for other in &spans[i + 1..] {
            let crossed = (one.1 < other.1 && one.2 > other.2) || (one.1 > other.1 && one.2 < other.2);
            crossings += usize::from(one.0 == other.0 && crossed);
        }
    }
    (crossings, spans.iter().map(|span| span.1.abs_diff(span.2)).sum())
}

fn permute(items: &[usize], visit: &mut dyn FnMut(&[usize])) {
    fn go(taken: &mut Vec<usize>, left: &[usize], visit: &mut dyn FnMut(&[usize])) {
        if left.is_empty() {
            visit(taken);
        }
        for (i, &item) in left.iter().enumerate() {
            let rest: Vec<_> = [&left[..i], &left[i + 1..]].concat();
            taken.push(item);
            go(taken, &rest, visit);
            taken.pop();
        }
    }
    go(&mut vec![], items, visit);
}

impl Picture {
    fn height(&self) -> f64 {
        self.graph.nodes.iter().map(top).fold(0.0, f64::max) + NODE_HEIGHT
    }

    fn write(&self, svg: &mut String) -> Result<()> {
        for arrow in &self.graph.arrows {
            self.write_arrow(svg, arrow)?;
        }
        for node in self.graph.nodes.iter().filter(|node| !node.name.is_empty()) {
            write_node(svg, node)?;
        }
        Ok(())
    }

    fn write_arrow(&self, svg: &mut String, arrow: &Arrow) -> Result<()> {
        let mut points = vec![];
        for (i, &number) in arrow.path.iter().enumerate() {
            let node = &self.graph.nodes[number];
            let is_point = node.name.is_empty();
            if i > 0 {
                points.push((self.port(arrow, i, true), top(node)));
            }
            if i + 1 < arrow.path.len() {
                let x = if is_point { node.x } else { self.port(arrow, i, false) };
                points.push((x, top(node) + NODE_HEIGHT));
            }
        }
        let (x, y) = points[0];
        let mut d = format!("M{x:.1} {y:.1}");
        for (i, pair) in points.windows(2).enumerate() {
            let ((_, above), (x, y)) = (pair[0], pair[1]);
            if i % 2 == 1 {
                write!(d, "V{y:.1}")?;
            } else {
                let bend = f64::midpoint(above, y);
                write!(d, "C{:.1} {bend:.1} {x:.1} {bend:.1} {x:.1} {y:.1}", pair[0].0)?;
            }
        }
        let dashes = if arrow.on_error { r#" stroke-dasharray="5 4""# } else { "" };
        writeln!(svg, r##"<path d="{d}" fill="none" stroke="#475569" stroke-width="1.5"{dashes}/>"##)?;
        // Arrows begin and end upright. Not every viewer turns a marker at a path's start round.
        let tips = [(arrow.up, points.first(), 8), (arrow.down, points.last(), -8)];
        for (shown, point, length) in tips {
            if let (true, Some((x, y))) = (shown, point) {
                writeln!(svg, r##"<path d="M{x:.1} {y:.1}l-4 {length}h8z" fill="#475569"/>"##)?;
            }
        }
        Ok(())
    }

    /// Where on its node's edge an arrow ends: they stand side by side in the order of their other ends.
    fn port(&self, arrow: &Arrow, i: usize, above: bool) -> f64 {
        let number = arrow.path[i];
        let node = &self.graph.nodes[number];
        let other_end = |arrow: &Arrow| {
            let i = arrow.path.iter().position(|&one| one == number)?;
            let other = if above { i.checked_sub(1)? } else { i + 1 };
            arrow.path.get(other).map(|&other| self.graph.nodes[other].x)
        };
        let mut ends: Vec<f64> = self.graph.arrows.iter().filter_map(other_end).collect();
        ends.sort_by(f64::total_cmp);
        let place = other_end(arrow).and_then(|end| ends.iter().position(|&one| one >= end)).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a state has few arrows")]
        let (place, count) = (place as f64, ends.len() as f64);
        let step = ((node.width - 40.0) / count).clamp(0.0, 34.0);
        node.x + (place - (count - 1.0) / 2.0) * step
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are few layers")]
fn top(node: &Node) -> f64 {
    node.layer as f64 * LAYER_HEIGHT
}

fn write_node(svg: &mut String, node: &Node) -> Result<()> {
    let (left, top) = (node.x - node.width / 2.0, top(node));
    let (fill, line) = match node.kind.as_str() {
        "Choice" => ("#fef3c7", "#b45309"),
        "Wait" => ("#f1f5f9", "#475569"),
        "Succeed" => ("#dcfce7", "#15803d"),
        "Fail" => ("#fee2e2", "#b91c1c"),
        _ => ("#dbeafe", "#1d4ed8"),
    };
    let round = if node.kind == "Task" { 6.0 } else { NODE_HEIGHT / 2.0 };
    writeln!(
        svg,
        r#"<rect x="{left:.1}" y="{top:.1}" width="{:.1}" height="{NODE_HEIGHT}" rx="{round}" fill="{fill}" stroke="{line}" stroke-width="1.5"/>"#,
        node.width
    )?;
    let middle = top + NODE_HEIGHT / 2.0;
    let base = if node.calls.is_some() { middle - 2.0 } else { middle + 5.0 };
    writeln!(svg, r##"<text x="{:.1}" y="{base:.1}" fill="#0f172a">{}</text>"##, node.x, node.name)?;
    if let Some(calls) = &node.calls {
        let base = middle + 14.0;
        writeln!(svg, r##"<text x="{:.1}" y="{base:.1}" font-size="11" fill="#475569">{calls}</text>"##, node.x)?;
    }
    Ok(())
}
