# Where each library comes from: its CMake package if the distribution ships one that works, else pkg-config, else find_library.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

find_package(CLI11 REQUIRED)
find_package(CURL REQUIRED)
find_package(fmt REQUIRED)
find_package(ICU REQUIRED uc i18n)
find_package(lexbor REQUIRED)
find_package(libzip REQUIRED)
find_package(llama REQUIRED)
find_package(llhttp REQUIRED)
find_package(md4c REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(roaring REQUIRED)
find_package(spdlog REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(yyjson REQUIRED)
find_package(ZLIB REQUIRED)
if(LAKELOOP_TESTS)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
endif()

pkg_check_modules(LIBFYAML REQUIRED IMPORTED_TARGET libfyaml)
add_library(libfyaml ALIAS PkgConfig::LIBFYAML)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
add_library(sodium ALIAS PkgConfig::SODIUM)

# DuckDB's own package names a static library that Debian leaves out.
add_library(duckdb::duckdb UNKNOWN IMPORTED)
find_library(DUCKDB_LIBRARY duckdb REQUIRED)
set_target_properties(duckdb::duckdb PROPERTIES IMPORTED_LOCATION ${DUCKDB_LIBRARY})

add_library(stemmer UNKNOWN IMPORTED)
find_library(STEMMER_LIBRARY stemmer REQUIRED)
set_target_properties(stemmer PROPERTIES IMPORTED_LOCATION ${STEMMER_LIBRARY})

# Headers only.
add_library(asio::asio INTERFACE IMPORTED)
target_link_libraries(asio::asio INTERFACE Threads::Threads)
add_library(protozero INTERFACE IMPORTED)
