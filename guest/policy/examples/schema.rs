//! Prints what is published of the manifest's settings: `just schema` writes it. With `markdown`, the table of docs/manifest.md; else the JSON Schema.

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("markdown") => print!("{}", floe_policy::reference::markdown()),
        _ => println!("{:#}", floe_policy::schema::manifest()),
    }
}
