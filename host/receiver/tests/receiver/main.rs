//! The receiver as its users have it: what is sent to it, and the text that comes out.

#[cfg(test)]
mod any_input;
#[cfg(test)]
mod console;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod json_lines;
#[cfg(test)]
mod live;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod over_the_wire;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tree;
