//! The vectors, through the component, by the contract's own types and names.

use std::error::Error;

use serde_json::{Map, Value, json};
use wasmtime::component::{Component, Instance, Linker, Type, Val};
use wasmtime::{Engine, Store};

#[test]
fn vectors() {
    let engine = Engine::default();
    let component = Component::from_file(&engine, env!("FLOE_POLICY_COMPONENT_FILE")).unwrap();
    let linker: Linker<()> = Linker::new(&engine);
    let count = floe_telemetry_vectors::run(|manifest, function, arguments| {
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component)?;
        if let Some(manifest) = manifest {
            call(
                &mut store,
                &instance,
                "configuration.configure",
                &[json!(manifest), json!([]), json!([])],
            )?;
        }
        call(&mut store, &instance, function, arguments)
    });
    assert!(count.expect("every case") > 100);
}

fn call(
    store: &mut Store<()>,
    instance: &Instance,
    function: &str,
    arguments: &[Value],
) -> Result<Value, Box<dyn Error>> {
    let (interface, name) = function.split_once('.').ok_or("interface.function")?;
    let interface = instance
        .get_export_index(&mut *store, None, &format!("floe:telemetry/{interface}@0.1.0"))
        .ok_or("no such interface")?;
    let index = instance
        .get_export_index(&mut *store, Some(&interface), name)
        .ok_or("no such function")?;
    let function = instance.get_func(&mut *store, index).ok_or("not a function")?;
    let types: Vec<Type> = function.ty(&*store).params().map(|(_, kind)| kind).collect();
    let parameters: Result<Vec<Val>, _> = types
        .iter()
        .zip(arguments)
        .map(|(kind, value)| to_val(kind, value))
        .collect();
    let mut results = [Val::Bool(false)];
    function.call(&mut *store, &parameters?, &mut results)?;
    Ok(from_val(&results[0]))
}

fn to_val(kind: &Type, value: &Value) -> Result<Val, Box<dyn Error>> {
    Ok(match (kind, value) {
        (Type::String, Value::String(text)) => Val::String(text.clone()),
        (Type::Enum(_), Value::String(case)) => Val::Enum(case.clone()),
        (Type::U8, value) => Val::U8(serde_json::from_value(value.clone())?),
        (Type::U64, value) => Val::U64(serde_json::from_value(value.clone())?),
        (Type::Float64, value) => Val::Float64(serde_json::from_value(value.clone())?),
        (Type::Option(_), Value::Null) => Val::Option(None),
        (Type::Option(kind), value) => Val::Option(Some(Box::new(to_val(&kind.ty(), value)?))),
        (Type::List(kind), Value::Array(items)) => Val::List(
            items
                .iter()
                .map(|item| to_val(&kind.ty(), item))
                .collect::<Result<_, _>>()?,
        ),
        (Type::Record(record), Value::Object(fields)) => Val::Record(
            record
                .fields()
                .map(|field| Ok((field.name.to_owned(), to_val(&field.ty, &fields[field.name])?)))
                .collect::<Result<_, Box<dyn Error>>>()?,
        ),
        (kind, value) => return Err(format!("{value} is no {kind:?}").into()),
    })
}

fn from_val(value: &Val) -> Value {
    match value {
        Val::Bool(truth) => json!(truth),
        Val::U8(number) => json!(number),
        Val::U32(number) => json!(number),
        Val::U64(number) => json!(number),
        Val::Float64(number) => json!(number),
        Val::String(text) | Val::Enum(text) => json!(text),
        Val::List(items) => items.iter().map(from_val).collect(),
        Val::Record(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), from_val(value)))
                .collect::<Map<_, _>>(),
        ),
        Val::Variant(case, payload) => json!({case: payload.as_deref().map(from_val)}),
        Val::Option(value) => value.as_deref().map_or(Value::Null, from_val),
        Val::Result(Ok(value)) => json!({"ok": value.as_deref().map(from_val)}),
        Val::Result(Err(value)) => json!({"err": value.as_deref().map(from_val)}),
        other => json!(format!("{other:?}")),
    }
}
