#pragma once

// The readable text of a parsed HTML document. Internal to html_page.

#include "ingest/page.h"

struct lxb_html_document;

namespace lakeloop::ingest {

ParsedPage html_text(lxb_html_document* document);

}  // namespace lakeloop::ingest
