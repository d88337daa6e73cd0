//! `Link` headers (RFC 8288 §3), as far as WHIP and WHEP have them.

/// One link.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Link {
    /// Between the angle brackets.
    pub(crate) target: String,
    params: Vec<(String, String)>,
}

impl Link {
    /// A parameter, by its name in lower case.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Whether `rel` names this relation.
    pub(crate) fn has_rel(&self, rel: &str) -> bool {
        self.param("rel").is_some_and(|rels| rels.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(rel)))
    }

    /// The relations.
    pub(crate) fn rels(&self) -> impl Iterator<Item = &str> {
        self.param("rel").unwrap_or_default().split_ascii_whitespace()
    }
}

/// Reads a list of links. What is no link ends it.
pub(crate) fn parse_links(mut text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    while let Some((target, rest)) =
        text.trim_start_matches([' ', '\t', ',']).strip_prefix('<').and_then(|rest| rest.split_once('>'))
    {
        let mut link = Link { target: target.to_owned(), params: Vec::new() };
        text = parse_params(rest, &mut link);
        links.push(link);
    }
    links
}

/// Reads `; name=value` until the next link; answers what is left.
fn parse_params<'a>(mut text: &'a str, link: &mut Link) -> &'a str {
    while let Some(rest) = text.trim_start().strip_prefix(';') {
        let rest = rest.trim_start();
        let end = rest.find(['=', ';', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let (value, left) = match after.strip_prefix('=') {
            Some(value) => parse_value(value.trim_start()),
            None => (String::new(), after),
        };
        link.params.push((name.trim().to_ascii_lowercase(), value));
        text = left;
    }
    text
}

/// A token or a quoted string, and what is behind it.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (token.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_with_quoted_commas_and_several_relations() {
        let links = parse_links(
            r#"<turn:turn.example?transport=udp>; rel="ice-server"; username="a,\"b"; Credential=c , </sse>;rel="x urn:y"; events="active,inactive""#,
        );
        assert_eq!(links.len(), 2);
        assert_eq!(links[0].target, "turn:turn.example?transport=udp");
        assert_eq!(links[0].param("username"), Some("a,\"b"));
        assert_eq!(links[0].param("credential"), Some("c"));
        assert!(links[1].has_rel("URN:Y") && !links[1].has_rel("z"));
        assert_eq!(links[1].param("events"), Some("active,inactive"));
        assert_eq!(links[1].rels().collect::<Vec<_>>(), ["x", "urn:y"]);
    }

    #[test]
    fn what_is_no_link_is_passed_over() {
        assert_eq!(parse_links(""), []);
        assert_eq!(parse_links("nonsense"), []);
        assert_eq!(parse_links("<a>; rel=\"open").len(), 1);
        assert_eq!(parse_links("<a"), []);
    }
}
