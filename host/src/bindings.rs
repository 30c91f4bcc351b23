//! The contract of `wit/`, as Rust sees it.
#![expect(missing_docs, reason = "generated; wit/ documents every item")]

wasmtime::component::bindgen!({
    world: "policy",
    path: "../wit",
    additional_derives: [PartialEq],
});
