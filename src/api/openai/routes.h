#pragma once

// OpenAI's API: chat completions, embeddings, models; under /v1 and under Databricks' /serving-endpoints, where `model`
// is an endpoint's name.

#include "api/route.h"
#include "serving/serving.h"

namespace lakeloop::api::openai {

Routes routes(serving::Serving& serving);

// Answers a chat completion, streamed when the request says so; used by /invocations too.
void answer_chat(serving::Serving& serving, Call& call, std::string endpoint, net::ResponseWriter& writer);

}  // namespace lakeloop::api::openai
