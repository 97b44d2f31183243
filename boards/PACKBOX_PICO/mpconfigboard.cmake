# Raspberry Pi Pico (RP2040, 2 MB flash) that stands where a pack would be.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

# Native code reads its constants at addresses rounded down to a multiple of 4; see
# boards/PACKCTL_PICO/mpconfigboard.cmake.
set_source_files_properties(${CMAKE_BINARY_DIR}/frozen_content.c PROPERTIES
    COMPILE_OPTIONS "-Daligned(bytes)=aligned(4)")
