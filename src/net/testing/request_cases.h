#pragma once

// For tests: requests as raw bytes and what becomes of them; half of them are attempts at request smuggling
// (RFC 9112, section 11.2).

#include <string>
#include <vector>

namespace lakeloop::net::testing {

struct RequestCase {
  std::string name;
  std::string bytes;
  std::string expected;  // METHOD target path=P name=value... [header:value]... keep|close body=B; or failed STATUS
};

inline std::vector<RequestCase> request_cases() {
  using std::string_literals::operator""s;
  const std::string host = "Host: h\r\n";
  const auto post = [&](const std::string& headers, const std::string& body) {
    return "POST /p HTTP/1.1\r\n" + host + headers + "\r\n" + body;
  };
  const auto posted = [](const std::string& headers, const std::string& body) {
    return "POST /p path=/p [host:h]" + headers + " keep body=" + body + ";";
  };
  const std::string bad = " failed 400";
  return {
      // --- accepted
      {"get", "GET /a%20b?x=1&y=%26+z HTTP/1.1\r\n" + host + "\r\n",
       "GET /a%20b?x=1&y=%26+z path=/a%20b x=1 y=& z [host:h] keep body=;"},
      {"length", post("Content-Length: 3\r\n", "abc"), posted(" [content-length:3]", "abc")},
      {"length zero", post("Content-Length: 0\r\n", ""), posted(" [content-length:0]", "")},
      {"no length", post("", ""), posted("", "")},
      {"chunked", post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"),
       posted(" [transfer-encoding:chunked]", "abcd")},
      {"chunked in any case", post("tRANSFER-eNCODING: CHUNKED\r\n", "0A\r\n0123456789\r\n0\r\n\r\n"),
       posted(" [transfer-encoding:CHUNKED]", "0123456789")},
      {"chunk extension", post("Transfer-Encoding: chunked\r\n", "3;a=b;c=\"d\"\r\nabc\r\n0\r\n\r\n"),
       posted(" [transfer-encoding:chunked]", "abc")},
      {"trailers are dropped", post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nY: z\r\nX: y\r\n\r\n"),
       posted(" [transfer-encoding:chunked]", "a")},
      {"a length in a trailer", post("Transfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"get and delete with a body",
       "GET /g HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nhiDELETE /d HTTP/1.1\r\n" + host +
           "Content-Length: 1\r\n\r\n!",
       "GET /g path=/g [host:h] [content-length:2] keep body=hi;DELETE /d path=/d [host:h] [content-length:1] keep "
       "body=!;"},
      {"pipelined", "GET /1 HTTP/1.1\r\n" + host + "\r\n\r\nGET /2 HTTP/1.1\r\n" + host + "\r\n",
       "GET /1 path=/1 [host:h] keep body=;GET /2 path=/2 [host:h] keep body=;"},
      {"absolute form", "GET http://other:80/x/y?q=1 HTTP/1.1\r\n" + host + "\r\n",
       "GET http://other:80/x/y?q=1 path=/x/y q=1 [host:h] keep body=;"},
      {"absolute form without a path", "GET HTTP://other HTTP/1.1\r\n" + host + "\r\n",
       "GET HTTP://other path=/ [host:h] keep body=;"},
      {"asterisk form", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "OPTIONS * path=* [host:h] keep body=;"},
      {"blanks around a value", "GET / HTTP/1.1\r\n" + host + "X:  \t a b \t \r\nY:\r\n\r\n",
       "GET / path=/ [host:h] [x:a b] [y:] keep body=;"},
      {"close", "GET / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
       "GET / path=/ [host:h] [connection:close] close body=;"},
      {"version 1.0", "GET / HTTP/1.0\r\n\r\n", "GET / path=/ close body=;"},
      {"version 1.0 that stays", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
       "GET / path=/ [connection:keep-alive] keep body=;"},
      {"an upgrade is not taken",
       "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\n" + host + "\r\n",
       "GET / path=/ [host:h] [connection:Upgrade] [upgrade:h2c] keep body=;GET /2 path=/2 [host:h] keep body=;"},
      {"an upgrade with a body is not taken",
       post("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n", "hi") + "GET /2 HTTP/1.1\r\n" + host +
           "\r\n",
       posted(" [connection:Upgrade] [upgrade:websocket] [content-length:2]", "hi") +
           "GET /2 path=/2 [host:h] keep body=;"},
      {"bytes above ASCII in a value", "GET / HTTP/1.1\r\n" + host + "X: caf\xC3\xA9\r\n\r\n",
       "GET / path=/ [host:h] [x:caf\xC3\xA9] keep body=;"},
      {"unfinished", post("Content-Length: 5\r\n", "abc"),
       "POST /p path=/p [host:h] [content-length:5] keep unfinished=abc"},
      // --- request smuggling (RFC 9112, section 11.2)
      {"length and coding", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), bad},
      {"coding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), bad},
      {"two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), bad},
      {"two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), bad},
      {"a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), bad},
      {"negative length", post("Content-Length: -1\r\n", ""), bad},
      {"signed length", post("Content-Length: +3\r\n", "abc"), bad},
      {"hex length", post("Content-Length: 0x3\r\n", "abc"), bad},
      {"length with a blank inside", post("Content-Length: 1 1\r\n", "abc"), bad},
      {"empty length", post("Content-Length:\r\n", ""), bad},
      {"length beyond 64 bits", post("Content-Length: 18446744073709551616\r\n", ""), bad},
      {"unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), bad},
      {"identity", post("Transfer-Encoding: identity\r\n", ""), bad},
      {"chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), bad},
      {"gzip before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), bad},
      {"chunked before gzip", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), bad},
      {"two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), bad},
      {"identity beside chunked", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       bad},
      {"empty coding", post("Transfer-Encoding:\r\n", ""), bad},
      {"quoted coding", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), bad},
      {"coding with a vertical tab",
       post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            "0\r\n\r\n"),
       bad},
      {"coding in version 1.0", "POST /p HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
      {"blank before the colon", post("Content-Length : 3\r\n", "abc"), bad},
      {"tab before the colon", post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), bad},
      {"folded value", post("X: a\r\n b\r\n", ""), bad},
      {"folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), bad},
      {"blank before the first name", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", bad},
      {"line feed ends a header", "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", bad},
      {"line feed ends the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", bad},
      {"line feed ends the head", "GET / HTTP/1.1\r\nHost: h\r\n\n", bad},
      {"carriage return in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", bad},
      {"carriage return ends a header", "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", bad},
      {"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"s, bad},
      {"NUL in a name", "GET / HTTP/1.1\r\nHost: h\r\nX\0: a\r\n\r\n"s, bad},
      {"control character in a value",
       "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01"
       "b\r\n\r\n",
       bad},
      {"no name", "GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", bad},
      {"no colon", "GET / HTTP/1.1\r\nHost: h\r\nabc\r\n\r\n", bad},
      {"no host", "GET / HTTP/1.1\r\n\r\n", bad},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", bad},
      {"chunk size is not hex", post("Transfer-Encoding: chunked\r\n", "g\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"chunk size with 0x", post("Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"negative chunk size", post("Transfer-Encoding: chunked\r\n", "-1\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"empty chunk size", post("Transfer-Encoding: chunked\r\n", "\r\nabc"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"blank after the chunk size", post("Transfer-Encoding: chunked\r\n", "3 \r\nabc\r\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"chunk size beyond 64 bits", post("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"chunk longer than its size", post("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"line feed after a chunk size", post("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"line feed in a chunk extension", post("Transfer-Encoding: chunked\r\n", "3;x\nabc\r\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"carriage return in a chunk extension", post("Transfer-Encoding: chunked\r\n", "3;x\rabc\r\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"line feed after a chunk", post("Transfer-Encoding: chunked\r\n", "3\r\nabc\n0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"no line end after a chunk", post("Transfer-Encoding: chunked\r\n", "3\r\nabc0\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      {"blank before the colon in a trailer", post("Transfer-Encoding: chunked\r\n", "0\r\nX : y\r\n\r\n"),
       "POST /p path=/p [host:h] [transfer-encoding:chunked] keep" + bad},
      // --- other refusals
      {"garbage", "\x16\x03\x01\x02\x00\x01", bad},
      {"lower-case method", "get / HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"method that is not ours", "PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n", " failed 501"},
      {"trace", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", " failed 501"},
      {"connect", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", " failed 501"},
      {"version 2", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", " failed 505"},
      {"version 0.9", "GET /\r\n\r\n", " failed 505"},
      {"malformed version", "GET / HTTP/1.1x\r\nHost: h\r\n\r\n", bad},
      {"blank in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"relative target", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"target with user info", "GET http://a@b/c HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"target with a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"asterisk with get", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"ftp target", "GET ftp://a/b HTTP/1.1\r\nHost: h\r\n\r\n", bad},
      {"unknown expectation", post("Expect: 200-maybe\r\n", ""), " failed 417"},
  };
}

}  // namespace lakeloop::net::testing
