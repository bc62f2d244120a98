#include "gateway/engine.h"

namespace lakeloop::gateway {

Json Usage::to_openai() const {
  Json usage = raw.is_object() ? raw : Json::object();
  usage.set("prompt_tokens", prompt_tokens);
  usage.set("completion_tokens", completion_tokens);
  usage.set("total_tokens", prompt_tokens + completion_tokens);
  Json details = usage["prompt_tokens_details"].is_object() ? usage["prompt_tokens_details"] : Json::object();
  details.set("cached_tokens", cached_tokens);
  usage.set("prompt_tokens_details", std::move(details));
  return usage;
}

}  // namespace lakeloop::gateway
