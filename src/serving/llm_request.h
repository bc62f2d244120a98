#pragma once

// OpenAI's chat completion request to the request of the model worker. What the worker cannot do is refused by the name
// of its field; notes that change no answer (user, metadata, ...) are let pass.

#include "codec/json.h"
#include "gateway/engine.h"

namespace lakeloop::serving {

// kInvalidArgument with the field as param().
Json worker_request_of(const gateway::ChatRequest& request, bool stream);

}  // namespace lakeloop::serving
