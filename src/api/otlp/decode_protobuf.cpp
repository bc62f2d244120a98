#include <limits>
#include <protozero/exception.hpp>
#include <protozero/pbf_reader.hpp>

#include "api/otlp/decode.h"
#include "base/limits.h"
#include "codec/encoding.h"
#include "codec/unicode.h"

namespace lakeloop::api::otlp {

namespace {

using protozero::pbf_reader;

// Field number and wire type together: a known number with another type is an unknown field, and skipped.
constexpr std::uint32_t bytes_field(std::uint32_t number) {
  return protozero::tag_and_type(number, protozero::pbf_wire_type::length_delimited);
}
constexpr std::uint32_t varint_field(std::uint32_t number) {
  return protozero::tag_and_type(number, protozero::pbf_wire_type::varint);
}
constexpr std::uint32_t fixed64_field(std::uint32_t number) {
  return protozero::tag_and_type(number, protozero::pbf_wire_type::fixed64);
}

std::string text(pbf_reader& reader) {
  const auto view = reader.get_view();
  const std::string_view bytes(view.data(), view.size());
  if (!codec::is_valid_utf8(bytes))
    throw Error(ErrorCode::kMalformedRequest, "Invalid OpenTelemetry format: a text is not UTF-8");
  return std::string(bytes);
}

std::string hex(pbf_reader& reader) {
  const auto view = reader.get_view();
  return codec::hex_encode(std::string_view(view.data(), view.size()));
}

std::int64_t nanos(std::uint64_t value) {
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    throw Error(ErrorCode::kInvalidArgument,
                "Cannot convert OpenTelemetry span to MLflow span: a time is beyond the year 2262");
  }
  return static_cast<std::int64_t>(value);
}

Json any_value(pbf_reader reader, std::size_t depth);

void key_value(pbf_reader reader, Json& object, std::size_t depth) {
  std::string key;
  Json value;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        key = text(reader);
        break;
      case bytes_field(2):
        value = any_value(reader.get_message(), depth);
        break;
      default:
        reader.skip();
    }
  }
  object.members().emplace_back(std::move(key), std::move(value));  // no look-up: there may be a million
}

Json any_value(pbf_reader reader, std::size_t depth) {
  if (depth > limits::kJsonDepth / 2)
    throw Error(ErrorCode::kMalformedRequest, "Invalid OpenTelemetry format: an attribute is nested too deep");
  Json value;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        value = text(reader);
        break;
      case varint_field(2):
        value = reader.get_bool();
        break;
      case varint_field(3):
        value = reader.get_int64();
        break;
      case fixed64_field(4):
        value = reader.get_double();
        break;
      case bytes_field(5): {
        value = Json::array();
        pbf_reader list = reader.get_message();
        while (list.next()) {
          if (list.tag_and_type() == bytes_field(1)) {
            value.push_back(any_value(list.get_message(), depth + 1));
          } else {
            list.skip();
          }
        }
        break;
      }
      case bytes_field(6): {
        value = Json::object();
        pbf_reader list = reader.get_message();
        while (list.next()) {
          if (list.tag_and_type() == bytes_field(1)) {
            key_value(list.get_message(), value, depth + 1);
          } else {
            list.skip();
          }
        }
        break;
      }
      case bytes_field(7): {
        const auto view = reader.get_view();
        value = codec::base64_encode(std::string_view(view.data(), view.size()));
        break;
      }
      default:
        reader.skip();
    }
  }
  return value;
}

tracking::SpanEvent event_of(pbf_reader reader) {
  tracking::SpanEvent event;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case fixed64_field(1):
        event.time_ns = nanos(reader.get_fixed64());
        break;
      case bytes_field(2):
        event.name = text(reader);
        break;
      case bytes_field(3):
        key_value(reader.get_message(), event.attributes, 0);
        break;
      default:
        reader.skip();
    }
  }
  return event;
}

Json link_of(pbf_reader reader) {
  Json link = Json::object();
  Json attributes = Json::object();
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        link.set("trace_id", hex(reader));
        break;
      case bytes_field(2):
        link.set("span_id", hex(reader));
        break;
      case bytes_field(4):
        key_value(reader.get_message(), attributes, 0);
        break;
      default:
        reader.skip();
    }
  }
  if (attributes.size() > 0) link.set("attributes", std::move(attributes));
  return link;
}

tracking::Span span_of(pbf_reader reader) {
  tracking::Span span;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case bytes_field(1):
        span.trace_id = hex(reader);
        break;
      case bytes_field(2):
        span.span_id = hex(reader);
        break;
      case bytes_field(4):
        span.parent_id = hex(reader);
        break;
      case bytes_field(5):
        span.name = text(reader);
        break;
      case varint_field(6):
        span.kind = reader.get_enum();
        break;
      case fixed64_field(7):
        span.start_ns = nanos(reader.get_fixed64());
        break;
      case fixed64_field(8):
        span.end_ns = nanos(reader.get_fixed64());
        break;
      case bytes_field(9):
        key_value(reader.get_message(), span.attributes, 0);
        break;
      case bytes_field(11):
        span.events.push_back(event_of(reader.get_message()));
        break;
      case bytes_field(13):
        span.links.push_back(link_of(reader.get_message()));
        break;
      case bytes_field(15): {
        pbf_reader status = reader.get_message();
        while (status.next()) {
          switch (status.tag_and_type()) {
            case bytes_field(2):
              span.status_message = text(status);
              break;
            case varint_field(3):
              span.status_code = status.get_enum();
              break;
            default:
              status.skip();
          }
        }
        break;
      }
      default:
        reader.skip();
    }
  }
  span.trace_id = checked_id("trace_id", std::move(span.trace_id), 32, false);
  span.span_id = checked_id("span_id", std::move(span.span_id), 16, false);
  span.parent_id = checked_id("parent_span_id", std::move(span.parent_id), 16, true);
  return span;
}

tracking::ResourceSpans resource_spans(pbf_reader reader) {
  tracking::ResourceSpans result;
  while (reader.next()) {
    if (reader.tag_and_type() == bytes_field(1)) {
      Json attributes = Json::object();
      pbf_reader resource = reader.get_message();
      while (resource.next()) {
        if (resource.tag_and_type() == bytes_field(1)) {
          key_value(resource.get_message(), attributes, 0);
        } else {
          resource.skip();
        }
      }
      for (const auto& [key, value] : attributes.members()) result.resource[key] = text_of_value(value);
    } else if (reader.tag_and_type() == bytes_field(2)) {
      pbf_reader scope = reader.get_message();
      while (scope.next()) {
        if (scope.tag_and_type() == bytes_field(2)) {
          result.spans.push_back(span_of(scope.get_message()));
        } else {
          scope.skip();
        }
      }
    } else {
      reader.skip();
    }
  }
  return result;
}

}  // namespace

std::vector<tracking::ResourceSpans> decode_protobuf(std::string_view bytes) {
  std::vector<tracking::ResourceSpans> result;
  try {
    pbf_reader request(bytes.data(), bytes.size());
    while (request.next()) {
      if (request.tag_and_type() == bytes_field(1)) {
        result.push_back(resource_spans(request.get_message()));
      } else {
        request.skip();
      }
    }
  } catch (const protozero::exception& error) {
    throw Error(ErrorCode::kMalformedRequest, "Invalid OpenTelemetry format: {}", error.what());
  }
  return result;
}

}  // namespace lakeloop::api::otlp
