//! The page: files built into the program, served as they are. Must not know what they ask for.

/// One file of the page.
pub(crate) struct File {
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Its bytes.
    pub(crate) bytes: &'static [u8],
}

macro_rules! files {
    ($($path:literal => $name:literal, $media_type:expr;)*) => {
        /// The file of that path, if there is one.
        pub(crate) fn file(path: &str) -> Option<File> {
            match path {
                $($path => Some(File {
                    media_type: $media_type,
                    bytes: include_bytes!(concat!("../page/", $name)),
                }),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const PATHS: &[(&str, &str)] = &[$(($path, $name)),*];
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

files! {
    "/" => "index.html", HTML;
    "/page.css" => "page.css", CSS;
    "/uplot.min.css" => "uplot.min.css", CSS;
    "/uplot.min.js" => "uplot.min.js", SCRIPT;
    "/api.js" => "api.js", SCRIPT;
    "/calls.js" => "calls.js", SCRIPT;
    "/curve.js" => "curve.js", SCRIPT;
    "/days.js" => "days.js", SCRIPT;
    "/dom.js" => "dom.js", SCRIPT;
    "/format.js" => "format.js", SCRIPT;
    "/gauges.js" => "gauges.js", SCRIPT;
    "/live.js" => "live.js", SCRIPT;
    "/main.js" => "main.js", SCRIPT;
    "/state.js" => "state.js", SCRIPT;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_none_asks_another_host() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let served = PATHS.iter().any(|(_, served)| *served == name);
            assert!(served || name == "VENDORED.md", "{name} is not served");
        }
        for (path, name) in PATHS {
            let text = String::from_utf8_lossy(file(path).unwrap().bytes);
            let ours = !name.starts_with("uplot");
            for link in [
                "src=\"http",
                "href=\"http",
                "url(http",
                "import('http",
                "from 'http",
            ] {
                assert!(!text.contains(link), "{name}: {link}");
            }
            assert!(
                !ours || !text.contains("innerHTML"),
                "{name}: text is only ever text"
            );
        }
    }
}
