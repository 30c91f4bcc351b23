//! Our policy with one function that never answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::ops::Range;

use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// What becomes of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// It traps.
    Traps,
    /// It never returns.
    Loops,
}

/// The component in which an export, such as `errors#redact`, does harm.
pub(crate) fn sabotaged(export: &str, harm: Harm) -> Vec<u8> {
    let mut bytes = std::fs::read(env!("FLOE_POLICY_COMPONENT_FILE")).unwrap();
    let body = body(&bytes, export).unwrap_or_else(|| panic!("{export} is not exported"));
    // No locals; then the harm, and what cannot be reached up to the end of the body.
    let start: &[u8] = match harm {
        Harm::Traps => &[0x00, 0x00],
        Harm::Loops => &[0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00],
    };
    assert!(body.len() > start.len(), "{export}");
    let code = &mut bytes[body];
    code.fill(0x01);
    code[..start.len()].copy_from_slice(start);
    *code.last_mut().unwrap() = 0x0b;
    bytes
}

/// Where the body of an exported function stands, in the first module that has it.
fn body(bytes: &[u8], export: &str) -> Option<Range<usize>> {
    let (mut imported, mut number, mut wanted) = (0, 0, None);
    let (interface, function) = export.split_once('#').unwrap();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } => (imported, number, wanted) = (0, 0, None),
            Payload::ImportSection(imports) => {
                let functions = imports.into_imports().filter(|import| {
                    matches!(
                        import.as_ref().unwrap().ty,
                        TypeRef::Func(_) | TypeRef::FuncExact(_)
                    )
                });
                imported += u32::try_from(functions.count()).unwrap();
            }
            Payload::ExportSection(exports) => {
                wanted = exports.into_iter().map(Result::unwrap).find_map(|found| {
                    let named = found.name.starts_with(&format!("floe:telemetry/{interface}@"))
                        && found.name.ends_with(&format!("#{function}"));
                    (named && found.kind == ExternalKind::Func).then_some(found.index)
                });
            }
            Payload::CodeSectionEntry(body) => {
                if wanted == Some(imported + number) {
                    return Some(body.range());
                }
                number += 1;
            }
            _ => {}
        }
    }
    None
}
