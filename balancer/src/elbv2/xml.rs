//! Answers of the query protocol, as XML 1.0. Must not know: what is in them.

/// An element: text, or elements in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    name: &'static str,
    text: String,
    inside: Vec<Self>,
}

impl Element {
    /// An empty one.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, text: String::new(), inside: Vec::new() }
    }

    /// With an element in it that has this text.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "numbers and truths are given as often as texts")]
    pub fn text(self, name: &'static str, text: impl ToString) -> Self {
        self.with(Self { name, text: text.to_string(), inside: Vec::new() })
    }

    /// With an element in it that has this text, where there is one.
    #[must_use]
    pub fn text_if(self, name: &'static str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// With this element in it.
    #[must_use]
    pub fn with(mut self, element: Self) -> Self {
        self.inside.push(element);
        self
    }

    /// With a list in it: `<name><member>…</member>…</name>`. Members are given as elements of any name.
    #[must_use]
    pub fn list(self, name: &'static str, members: impl IntoIterator<Item = Self>) -> Self {
        let inside = members.into_iter().map(|member| Self { name: "member", ..member }).collect();
        self.with(Self { name, text: String::new(), inside })
    }

    /// With a list of texts in it.
    #[must_use]
    pub fn texts(self, name: &'static str, texts: impl IntoIterator<Item = impl ToString>) -> Self {
        let member =
            |text: &dyn ToString| Self { name: "member", text: text.to_string(), inside: Vec::new() };
        self.list(name, texts.into_iter().map(|text| member(&text)))
    }

    /// Writes what is in it behind `out`, without its own name.
    pub fn write_inside(&self, out: &mut String) {
        escape(&self.text, out);
        for element in &self.inside {
            element.write(out);
        }
    }

    /// The text of the first element of this name in it, however deep.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        self.inside
            .iter()
            .find_map(|element| if element.name == name { Some(&*element.text) } else { element.find(name) })
    }

    /// Writes it behind `out`.
    pub fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        if self.text.is_empty() && self.inside.is_empty() {
            return out.push_str("/>");
        }
        out.push('>');
        self.write_inside(out);
        out.push_str("</");
        out.push_str(self.name);
        out.push('>');
    }
}

/// Text as content of an element; what XML 1.0 cannot hold becomes U+FFFD.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_lists_have_members() {
        let element = Element::new("R").text("A", "<&>\u{1}").texts("L", ["x", "y"]).with(Element::new("E"));
        let mut out = String::new();
        element.write(&mut out);
        assert_eq!(out, "<R><A>&lt;&amp;&gt;\u{fffd}</A><L><member>x</member><member>y</member></L><E/></R>");
        assert_eq!(
            (element.find("member"), element.find("A"), element.find("B")),
            (Some("x"), Some("<&>\u{1}"), None)
        );
    }
}
