#!/usr/bin/env bash
# consume.sh WAY SOURCE BUILD WORK CMAKE CC: builds and runs the consumer in one of the ways
# pkgconfig.shared, pkgconfig.static, cmake.shared, cmake.static, subdirectory.
#
# The tree is installed with DESTDIR under a prefix that does not exist and then used from
# where it was staged, so that an absolute path anywhere in it fails the test.
set -euo pipefail

way=$1 source=$2 build=$3 work=$4 cmake=$5 cc=$6
here=$source/tests/packaging
prefix=/nonexistent/weft
version=$(sed -n 's/^project(weft VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")

rm -rf "$work"
mkdir -p "$work"
cd "$work"

if [ "$way" != subdirectory ]; then
  DESTDIR=$work/stage "$cmake" --install "$build" --prefix "$prefix" > install.log
  mv "stage$prefix" moved
  rm -rf stage
  # An absolute path to the prefix or to the build tree in a text file would be a bug anyway.
  if grep -rIl -e "$prefix" -e "$build" moved; then
    echo "the files above name a path of the build"
    exit 1
  fi
fi
pc=$(find moved -name weft.pc 2> /dev/null || true)

# The static ways must not find a shared library to fall back on.
if [[ $way == pkgconfig.static ]]; then
  find moved -name 'libweft.so*' -delete
fi

case $way in
  pkgconfig.*)
    PKG_CONFIG_PATH=$work/$(dirname "$pc")
    export PKG_CONFIG_PATH
    how=()
    [[ $way == *.static ]] && how=(--static)
    [ "$(pkg-config --modversion weft)" = "$version" ]
    flags=$(pkg-config --cflags weft)
    [[ $flags == *-fstack-clash-protection* ]] || { echo "no stack probes in: $flags"; exit 1; }
    libs=$(pkg-config --libs "${how[@]}" weft)
    # shellcheck disable=SC2086 # lists of flags
    "$cc" -std=c11 $flags "$here/consumer.c" -o consumer $libs
    consumer=./consumer
    ;;
  cmake.*)
    static=OFF
    [[ $way == *.static ]] && static=ON
    "$cmake" -G Ninja -S "$here/project" -B project -D CMAKE_C_COMPILER="$cc" \
      -D CMAKE_PREFIX_PATH="$work/moved" -D weft_USE_STATIC_LIBS=$static \
      -D WEFT_LIBRARY="weft::${way#cmake.}" > project.log 2>&1 || { cat project.log; exit 1; }
    "$cmake" --build project >> project.log 2>&1 || { cat project.log; exit 1; }
    consumer=project/consumer
    ;;
  subdirectory)
    "$cmake" -G Ninja -S "$here/project" -B project -D CMAKE_C_COMPILER="$cc" \
      -D WEFT_SOURCE="$source" -D WEFT_LIBRARY=weft_static > project.log 2>&1 || { cat project.log; exit 1; }
    nice "$cmake" --build project --target consumer -j 2 >> project.log 2>&1 ||
      { cat project.log; exit 1; }
    consumer=project/consumer
    ;;
esac

# Only the shared ways need to be told where the library is.
if [[ $way == *.shared ]]; then
  LD_LIBRARY_PATH=$(dirname "$(find "$work/moved" -name libweft.so.0)")
  export LD_LIBRARY_PATH
  loads=$(ldd "$consumer")
  [[ $loads =~ libweft\.so\.0\ =\>\ $work/moved/ ]] || { echo "$loads"; exit 1; }
else
  loads=$(ldd "$consumer")
  [[ $loads != *libweft* ]] || { echo "the static consumer loads a library: $loads"; exit 1; }
fi

output=$("$consumer")
echo "$output"
[ "$output" = "hello from weft $version" ]
