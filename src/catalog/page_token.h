#pragma once

// Cursors of listings: the key of the last item of a page, bound to the listing that made it. A token of another
// listing, another house, or one that was changed is refused, never interpreted.

#include <string>
#include <string_view>

namespace lakeloop::catalog {

// `scope` names the listing ("tables <schema id>"), `key` is what the listing is ordered by.
std::string make_page_token(std::string_view secret, std::string_view scope, std::string_view key);
// "" for an empty token; kInvalidArgument for a foreign one.
std::string read_page_token(std::string_view secret, std::string_view scope, std::string_view token);

}  // namespace lakeloop::catalog
