#include "codec/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace lakeloop::codec {
namespace {

using testing::HasSubstr;

std::string why(std::string_view text) {
  try {
    return "accepted: " + yaml_parse(text).dump();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMalformedRequest);
    return error.message();
  }
}

TEST(YamlParse, KnowsTheTypesOfTheCoreSchema) {
  const std::pair<const char*, const char*> scalars[] = {{"true", "true"},
                                                         {"False", "false"},
                                                         {"TRUE", "true"},
                                                         {"yes", "\"yes\""},
                                                         {"on", "\"on\""},
                                                         {"null", "null"},
                                                         {"~", "null"},
                                                         {"", "null"},
                                                         {"Null", "null"},
                                                         {"nil", "\"nil\""},
                                                         {"12", "12"},
                                                         {"-12", "-12"},
                                                         {"+12", "12"},
                                                         {"0o17", "15"},
                                                         {"0x1F", "31"},
                                                         {"017", "17"},
                                                         {"0x", "\"0x\""},
                                                         {"0xg", "\"0xg\""},
                                                         {"1_000", "\"1_000\""},
                                                         {"9223372036854775807", "9223372036854775807"},
                                                         {"-9223372036854775808", "-9223372036854775808"},
                                                         {"9223372036854775808", "9.223372036854775808e18"},
                                                         {"1.5", "1.5"},
                                                         {".5", "0.5"},
                                                         {"1.", "1.0"},
                                                         {"1e3", "1000.0"},
                                                         {"-1.5E-3", "-0.0015"},
                                                         {"1e", "\"1e\""},
                                                         {".", "\".\""},
                                                         {"-", "[null]"},
                                                         {"+", "\"+\""},
                                                         {"1.2.3", "\"1.2.3\""},
                                                         {".inf", "\"Infinity\""},
                                                         {"-.INF", "\"-Infinity\""},
                                                         {".nan", "\"NaN\""},
                                                         {"1e999", "\"Infinity\""},
                                                         {"1e-999", "0.0"},
                                                         {"2024-01-02", "\"2024-01-02\""},
                                                         {"12:30", "\"12:30\""},
                                                         {"\"12\"", "\"12\""},
                                                         {"'true'", "\"true\""},
                                                         {"\"\"", "\"\""},
                                                         {"'~'", "\"~\""},
                                                         {"!!str 12", "\"12\""},
                                                         {"!!float 12", "12.0"},
                                                         {"!!int 12", "12"},
                                                         {"! 12", "\"12\""},
                                                         {"|\n  12\n", "\"12\\n\""}};
  for (const auto& [yaml, json] : scalars) {
    // By text: NaN equals nothing.
    EXPECT_EQ(yaml_parse(yaml).dump(), Json::parse(json).dump()) << yaml;
  }
}

TEST(YamlParse, ReadsAnMlModelFile) {
  const Json model = yaml_parse(R"(artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    python_version: 3.11.2
  sklearn: {code: null, pickled_model: model.pkl, sklearn_version: 1.5.0}
mlflow_version: 3.1.0
model_size_bytes: 1234
model_uuid: 0123456789abcdef
signature:
  inputs: '[{"type": "string", "name": "q", "required": true}]'
  params: null
utc_time_created: '2026-01-02 03:04:05.678901'
tags:
- a
-   - b
    - "c: d"   # a comment
prompt: |
  Line one

    indented
  last
folded: >-
  one
  two
)");
  EXPECT_EQ(model["flavors"]["python_function"]["env"]["virtualenv"].as_string(), "python_env.yaml");
  EXPECT_EQ(model["flavors"]["python_function"]["python_version"].as_string(), "3.11.2");
  EXPECT_TRUE(model["flavors"]["sklearn"]["code"].is_null());
  EXPECT_EQ(model["model_size_bytes"].as_int(), 1234);
  EXPECT_EQ(model["model_uuid"].as_string(), "0123456789abcdef");
  EXPECT_EQ(model["utc_time_created"].as_string(), "2026-01-02 03:04:05.678901");
  EXPECT_EQ(model["tags"].dump(), R"(["a",["b","c: d"]])");
  EXPECT_EQ(model["prompt"].as_string(), "Line one\n\n  indented\nlast\n");
  EXPECT_EQ(model["folded"].as_string(), "one two");
}

TEST(YamlParse, TakesKeysAsTheyAreWritten) {
  EXPECT_EQ(yaml_parse("{1: a, true: b, 'x y': c, ~: d}").dump(), R"({"1":"a","true":"b","x y":"c","~":"d"})");
  EXPECT_THAT(why("{a: 1, a: 2}"), HasSubstr("line 1, column 8: the key \"a\" appears twice"));
  EXPECT_THAT(why("1: a\n'1': b\n"), HasSubstr("line 2"));
  EXPECT_THAT(why("? [a]\n: b\n"), HasSubstr("key must be a scalar"));
}

TEST(YamlParse, ResolvesAnchorsAndMerges) {
  EXPECT_EQ(yaml_parse("a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  k: 3\n").dump(),
            R"({"a":{"k":1,"l":2},"b":{"k":1,"l":2},"c":{"k":3,"l":2}})");
  EXPECT_EQ(yaml_parse("- &a {k: 1}\n- &b {k: 2, m: 3}\n- <<: [*a, *b]\n").at(2).dump(), R"({"k":1,"m":3})");
  EXPECT_EQ(yaml_parse("{'<<': 1}").dump(), R"({"<<":1})");
  EXPECT_EQ(yaml_parse("- &s text\n- {*s : 1}\n").at(1).dump(), R"({"text":1})");
  EXPECT_THAT(why("a: *x"), HasSubstr("no anchor \"x\""));
  EXPECT_THAT(why("a: &x [*x]"), HasSubstr("no anchor \"x\""));  // itself
  EXPECT_THAT(why("a:\n  <<: 5\n"), HasSubstr("takes a mapping"));
}

TEST(YamlParse, StopsBombs) {
  std::string laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 10; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) laughs += (k ? ", *a" : "*a") + std::to_string(i - 1);
    laughs += "]\n";
  }
  EXPECT_THAT(why(laughs), HasSubstr("aliases make the document"));
  EXPECT_THAT(why(std::string(100'000, '[')), HasSubstr("not valid YAML"));
  EXPECT_THAT(why(std::string(65, '[') + std::string(65, ']')), HasSubstr("not valid YAML"));
  EXPECT_EQ(why(std::string(60, '[') + std::string(60, ']')).substr(0, 9), "accepted:");
  std::string steps;
  for (int i = 0; i < 1000; ++i) steps += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(why(steps), HasSubstr("not valid YAML"));
  std::string deeper = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n";
  for (int i = 1; i < 9; ++i) {
    deeper +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [[[[[[[[[[*a" + std::to_string(i - 1) + "]]]]]]]]]]\n";
  }
  EXPECT_THAT(why(deeper), HasSubstr("nested deeper"));
}

TEST(YamlParse, RefusesWithLineAndColumn) {
  EXPECT_THAT(why("a: 1\nb: [1, 2\n"), HasSubstr("not valid YAML at line"));
  EXPECT_THAT(why("a: 1\n\tb: 2\n"), HasSubstr("line 1, column 4"));
  EXPECT_THAT(why("a: \"open\n"), HasSubstr("line"));
  EXPECT_THAT(why("---\na: 1\n---\nb: 2\n"), HasSubstr("line 3, column 1: one document expected"));
  EXPECT_THAT(why("a: !!python/object:os.system x"),
              HasSubstr("tag:yaml.org,2002:python/object:os.system is not supported"));
  EXPECT_THAT(why("a: !Ref x"), HasSubstr("!Ref"));
  EXPECT_THAT(why("a: !!set {x}"), HasSubstr("not supported"));
  EXPECT_THAT(why("a: !!int x"), HasSubstr("does not fit"));
  EXPECT_THAT(why("a: \xff"), HasSubstr("UTF-8"));
  EXPECT_THAT(why("a: b: c"), HasSubstr("not valid YAML"));
  EXPECT_EQ(why(""), "accepted: null");
  EXPECT_EQ(why("# only a comment\n"), "accepted: null");
  EXPECT_EQ(why("---\n...\n"), "accepted: null");
}

TEST(YamlParse, NeverCrashesOnNoise) {
  std::mt19937 random(5);
  const std::string pieces[] = {"a",  ": ",  "- ",        "\n",  "  ",  "[",  "]",      "{", "}",
                                ",",  "&x ", "*x",        "|",   ">",   "'",  "\"",     "#", "!!str ",
                                "? ", "<<",  "%YAML 1.2", "---", "...", "\t", "\u2028", "0", "\\"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t i = random() % 20; i > 0; --i) text += pieces[random() % std::size(pieces)];
    try {
      const Json json = yaml_parse(text);
      ASSERT_EQ(yaml_parse(yaml_dump(json)), json) << text;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kMalformedRequest) << text;
    }
  }
}

TEST(YamlDump, WritesBlocksInKeyOrder) {
  const Json json = Json::parse(
      R"({"name":"x","count":1,"f":2.0,"list":[1,"a",[],{},["b"],{"k":"v","w":[true,null]}],"empty":{},"text":"a\nb\n"})");
  EXPECT_EQ(yaml_dump(json), R"(name: x
count: 1
f: 2.0
list:
  - 1
  - a
  - []
  - {}
  - - b
  - k: v
    w:
      - true
      - null
empty: {}
text: |
  a
  b
)");
}

TEST(YamlDump, QuotesStringsThatLookLikeSomethingElse) {
  // Also what YAML 1.1 readers (PyYAML, in every MLflow client) take for something else.
  for (const char* text : {"true",
                           "No",
                           "yes",
                           "ON",
                           "y",
                           "null",
                           "~",
                           "",
                           "12",
                           "-1",
                           "1.5",
                           "1e3",
                           ".inf",
                           "0x1F",
                           "0o7",
                           "1_000",
                           "12:30",
                           "2024-01-02",
                           "2024-01-02T03:04:05Z",
                           "- a",
                           "-",
                           "? a",
                           "a: b",
                           "a:",
                           "a #b",
                           "#",
                           "&a",
                           "*a",
                           "!a",
                           "|",
                           ">",
                           "%a",
                           "@a",
                           "`a",
                           "'a'",
                           "\"a\"",
                           "{a}",
                           "[a]",
                           "a, b]",
                           " a",
                           "a ",
                           "=",
                           "<<",
                           "---",
                           "...",
                           "a\\b"}) {
    const std::string yaml = yaml_dump(Json(text));
    EXPECT_EQ(yaml_parse(yaml), Json(text)) << yaml;
    EXPECT_EQ(yaml_parse("k: " + yaml)["k"], Json(text)) << yaml;
    EXPECT_EQ(yaml[0], '"') << yaml;
  }
  for (const char* text :
       {"main", "mlflow.sklearn", "models:/main.default.m@champion", "python_env.yaml", "/srv/data", "two words"}) {
    EXPECT_EQ(yaml_dump(Json(text)), std::string(text) + "\n");
  }
}

TEST(YamlDump, NumbersComeBackAsTheyWere) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double value : {0.0, -0.0, 1.0, 0.1, 1e20, 1e-7, 1.7976931348623157e308, 5e-324, -2.5, 1e15, 1e16,
                             123456789012345680.0, inf, -inf}) {
    const std::string yaml = yaml_dump(Json(value));
    const Json back = yaml_parse(yaml);
    ASSERT_TRUE(back.is_double()) << yaml;
    EXPECT_EQ(back.as_double(), value) << yaml;
    EXPECT_TRUE(yaml.contains('.')) << yaml;
  }
  EXPECT_TRUE(std::isnan(yaml_parse(yaml_dump(Json(std::nan("")))).as_double()));
  EXPECT_EQ(yaml_parse(yaml_dump(Json(INT64_MIN))), Json(INT64_MIN));
}

// Any value comes back: strings of nasty pieces, nested at random.
Json random_json(std::mt19937& random, int depth) {
  const auto random_text = [&] {
    static const std::string pieces[] = {
        "a",    "B",      "1",      " ",     "  ",   "\n", "\n\n",   "\t",     "\r",     ":",    ": ",
        "- ",   "#",      " #",     "'",     "\"",   "\\", "\u0085", "\u2028", "\uFEFF", "\x7f", std::string("\0", 1),
        "\x01", "é",      "🚀",     "~",     "true", "0",  ".",      "&",      "*",      "!",    "|",
        ">",    "%",      "@",      "`",     "{",    "}",  "[",      "]",      ",",      "?",    "-",
        "---",  "\u00a0", "\uFFFF", "\u009f"};
    std::string text;
    for (std::size_t i = random() % 6; i > 0; --i) text += pieces[random() % std::size(pieces)];
    return text;
  };
  switch (random() % (depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return random() % 2 == 0;
    case 2:
      return static_cast<std::int64_t>(random()) << (random() % 32);
    case 3:
      return std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 200) - 100);
    case 4:
    case 5:
      return random_text();
    case 6: {
      Json array = Json::array();
      for (std::size_t i = random() % 4; i > 0; --i) array.push_back(random_json(random, depth - 1));
      return array;
    }
    default: {
      Json object = Json::object();
      for (std::size_t i = random() % 4; i > 0; --i) object.set(random_text(), random_json(random, depth - 1));
      return object;
    }
  }
}

TEST(YamlDump, ParseOfDumpIsIdentity) {
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    const Json json = random_json(random, 4);
    const std::string yaml = yaml_dump(json);
    Json back;
    try {
      back = yaml_parse(yaml);
    } catch (const Error& error) {
      FAIL() << error.message() << "\n" << json.dump() << "\n" << yaml;
    }
    ASSERT_EQ(back, json) << json.dump() << "\n" << yaml;
  }
  Json long_key = Json::object(
      {{std::string(5000, 'k') + ": '\"", "v"}, {std::string(3000, 'z'), Json::object({{"a", Json::array({1})}})}});
  EXPECT_EQ(yaml_parse(yaml_dump(long_key)), long_key);
}

}  // namespace
}  // namespace lakeloop::codec
