//! Equal modules become one.
//!
//! rust-hdl writes one module for each instance. On the text, by whole names: the first of equal modules keeps its name
//! and stands for all, registers are called `register_N` by their width. No statement changes.
//!
//! One name with two texts is refused, because whoever reads the Verilog would take one of them for both, silently: text
//! that a circuit brings along (`Verilog::Wrapper`) is written once for each instance, under the name it has.

use std::collections::{BTreeMap, BTreeSet};

/// A module: its name, its text before the name, and after it.
#[derive(Debug, Clone)]
struct Module {
    name: String,
    body: String,
}

/// Merges equal modules until nothing changes.
///
/// # Errors
/// The name that two different modules have.
pub(super) fn merge_equal(text: &str) -> Result<String, String> {
    let mut modules = defined_once(split(text))?;
    loop {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for module in &modules {
            let wanted = register_name(&module.body).unwrap_or_else(|| module.name.clone());
            let kept = seen.entry(module.body.clone()).or_insert(wanted);
            if *kept != module.name {
                names.insert(module.name.clone(), kept.clone());
            }
        }
        if names.is_empty() {
            break;
        }
        let mut written = BTreeSet::new();
        modules = modules
            .into_iter()
            .map(|module| Module {
                name: names.get(&module.name).cloned().unwrap_or(module.name),
                body: rename(&module.body, &names),
            })
            .filter(|module| written.insert(module.name.clone()))
            .collect();
    }
    Ok(joined(&modules))
}

/// Texts with tops of different names as one text; what they share is in it once.
///
/// # Errors
/// The name that two different modules have.
pub(super) fn together(texts: &[&str]) -> Result<String, String> {
    Ok(joined(&defined_once(split(&texts.join("\n")))?))
}

fn joined(modules: &[Module]) -> String {
    let whole: Vec<String> =
        modules.iter().map(|module| format!("module {}{}endmodule\n", module.name, module.body)).collect();
    format!("// Written by fpga-cores; changes belong into the Rust sources.\n\n{}", whole.join("\n"))
}

/// Each name once; the name that has two texts as the error.
fn defined_once(modules: Vec<Module>) -> Result<Vec<Module>, String> {
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    let mut once = Vec::new();
    for module in modules {
        match bodies.insert(module.name.clone(), module.body.clone()) {
            None => once.push(module),
            Some(body) if body == module.body => {}
            Some(_) => return Err(module.name),
        }
    }
    Ok(once)
}

/// The modules of a text as rust-hdl writes them.
fn split(text: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    for part in format!("\n{text}").split("\nmodule ").filter(|part| part.contains("endmodule")) {
        let (head, _) = part.split_once("endmodule").expect("it contains that word");
        let (name, body) = head.split_at(head.find('(').expect("a module has a list of ports"));
        modules.push(Module { name: name.trim().to_owned(), body: tidy(body) });
    }
    modules
}

/// The text without spaces at line ends and without runs of empty lines.
fn tidy(body: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in body.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

/// `register_N` for the text of a register.
fn register_name(body: &str) -> Option<String> {
    let is_register = body.starts_with("(d,q,clock);") && body.contains("always @(posedge clock) q <= d;");
    let width = body.lines().find(|line| line.ends_with(" d;"))?;
    let top = width.split_once('[').and_then(|(_, rest)| rest.split_once(':')).map_or("0", |(top, _)| top);
    let width = top.parse::<u32>().ok()? + 1;
    is_register.then(|| format!("register_{width}"))
}

/// The text with whole names replaced.
fn rename(body: &str, names: &BTreeMap<String, String>) -> String {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '$';
    let mut renamed = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(start) = rest.find(is_name) {
        let (before, tail) = rest.split_at(start);
        let (name, after) = tail.split_at(tail.find(|c| !is_name(c)).unwrap_or(tail.len()));
        renamed.push_str(before);
        renamed.push_str(names.get(name).map_or(name, String::as_str));
        rest = after;
    }
    renamed.push_str(rest);
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTER: &str = "(d,q,clock);\n    input wire [7:0] d;\n    always @(posedge clock) q <= d;\n";

    #[test]
    fn equal_modules_become_one_and_are_called_by_it() {
        let text = format!(
            "module top(a);\n    top$x x(.a(a));\n    top$y y(.a(a));\nendmodule\n\
             module top$x{REGISTER}endmodule\nmodule top$y{REGISTER}endmodule\n"
        );
        let merged = merge_equal(&text).unwrap();
        assert!(
            merged.contains("register_8 x(.a(a));") && merged.contains("register_8 y(.a(a));"),
            "{merged}"
        );
        assert_eq!(merged.matches("module register_8").count(), 1);
    }

    #[test]
    fn one_name_with_two_texts_is_refused() {
        let module = |body: &str| format!("module core(y);\n    {body}\nendmodule\n");
        let (zero, one) = (module("assign y = 0;"), module("assign y = 1;"));
        assert_eq!(merge_equal(&(zero.clone() + &one)), Err("core".to_owned()));
        assert_eq!(together(&[&zero, &one]), Err("core".to_owned()));
        assert_eq!(together(&[&zero, &zero]).unwrap().matches("module core").count(), 1);
    }
}
