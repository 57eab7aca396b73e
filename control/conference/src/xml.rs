//! What reading XML from strangers needs.

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

/// Attributes of one element. Each is compared with those before it, which takes long where there are thousands.
const ATTRIBUTES_MAX: usize = 64;

/// The attributes of an element: local names and values.
///
/// # Errors
///
/// What is wrong with them, in words.
pub(crate) fn attributes(element: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for attribute in element.attributes() {
        if all.len() >= ATTRIBUTES_MAX {
            return Err(format!(
                "an element with more than {ATTRIBUTES_MAX} attributes"
            ));
        }
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|e| e.to_string())?.into_owned();
        all.push((attribute.key.local_name().as_ref().to_owned(), value));
    }
    Ok(all)
}
