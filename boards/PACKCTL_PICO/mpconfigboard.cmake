# Raspberry Pi Pico (RP2040, 2 MB flash) as the brain of a battery pack.
set(PICO_BOARD "pico")
set(PICO_PLATFORM "rp2040")
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

# packctl_config.h leaves out parts of the interpreter; the printf meant is the SDK's, for panics.
list(APPEND MICROPY_DEF_BOARD
    MP_CONFIGFILE=\"packctl_config.h\"
    PICO_PRINTF_SUPPORT_FLOAT=0
    PICO_PRINTF_SUPPORT_LONG_LONG=0
)

# Native functions are compiled on the computer alone.
set_source_files_properties(${MICROPY_DIR}/py/emitnthumb.c PROPERTIES
    COMPILE_DEFINITIONS PACKCTL_NO_NATIVE_COMPILER)
list(APPEND MICROPY_SOURCE_BOARD ${MICROPY_BOARD_DIR}/no_native_compiler.c)

# The compiler of native code places 32-bit constants in it and reads them by an address rounded
# down to a multiple of 4. tools/mpy-tool.py aligns frozen functions for the Cortex-M0+ to 2 only
# (MicroPython 1.25 to 1.28): half of them would read a wrong constant. Every alignment of that
# one file becomes 4. tools/toolchain.py checks the result.
set_source_files_properties(${CMAKE_BINARY_DIR}/frozen_content.c PROPERTIES
    COMPILE_OPTIONS "-Daligned(bytes)=aligned(4)")

# The same tool freezes numbers of more than 13 bits in tables as objects, and what is calculated
# with them is allocated. small_ints.py puts those in the word that a word has room for. What is
# frozen twice, same_constants.py leaves once.
cmake_language(DEFER CALL add_custom_command TARGET BUILD_FROZEN_CONTENT POST_BUILD
    COMMAND ${Python3_EXECUTABLE} ${MICROPY_BOARD_DIR}/small_ints.py
        ${CMAKE_BINARY_DIR}/frozen_content.c
    COMMAND ${Python3_EXECUTABLE} ${MICROPY_BOARD_DIR}/same_constants.py
        ${CMAKE_BINARY_DIR}/frozen_content.c VERBATIM)

# The rest of the image is compiled for size, as the port does. These are what running code calls
# for each name, call and number; the port does the same with map.c and vm.c.
foreach(file bc nativeglue obj objarray objfun objint objtype qstr runtime)
    set_source_files_properties(${MICROPY_DIR}/py/${file}.c PROPERTIES COMPILE_OPTIONS "-O2")
endforeach()
