//! Stands in for the crate that reads files.
use rq_core::Value;
pub struct Setting {
    pub name: String,
    pub line: usize,
    pub value: Value,
}
pub struct Fault {
    pub line: usize,
    pub reason: String,
}
pub fn settings_of_python(_: &str, _: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Setting>, Fault> {
    Ok(Vec::new())
}
pub fn settings_of_toml(_: &str) -> Result<Vec<Setting>, Fault> {
    Ok(Vec::new())
}
