/* Counts words: `inp` of ("hit", WORD) answers ("hits", WORD, N), N being one more each time.
 *
 * The count is kept as the tuple ("hits", WORD, N). Built by
 *   clang-22 --target=wasm32 -mcpu=mvp -mbulk-memory -msign-ext -mmutable-globals -Os -nostdlib \
 *     -Wl,--no-entry -Wl,--stack-first -Wl,-z,stack-size=8192 -Wl,--strip-all \
 *     -o hits.wasm hits.c
 */
#include "../../abi/bezant1.h"

/* Most bytes of a word; a longer one is refused. */
#define WORD 1000

/* ("hit", WORD) as the client asked for it. */
static uint8_t asked[WORD + 16];
/* ("hits", WORD, N), behind two bytes that make an answer of it. */
static uint8_t answer[WORD + 32];
/* ("hits", WORD, ?int) */
static uint8_t wanted[WORD + 32];

static uint32_t put_varint(uint8_t *at, uint64_t number) {
    uint32_t length = 0;
    for (; number >= 0x80; number >>= 7)
        at[length++] = (uint8_t)(number | 0x80);
    at[length++] = (uint8_t)number;
    return length;
}

static uint64_t get_varint(const uint8_t *at) {
    uint64_t number = 0;
    for (uint32_t shift = 0;; shift += 7, at++) {
        number |= (uint64_t)(*at & 0x7f) << shift;
        if (*at < 0x80)
            return number;
    }
}

/* Puts a text with its kind and length. */
static uint32_t put_text(uint8_t *at, const uint8_t *text, uint32_t length) {
    uint32_t begin = 0;
    at[begin++] = 3;
    begin += put_varint(at + begin, length);
    for (uint32_t i = 0; i < length; i++)
        at[begin + i] = text[i];
    return begin + length;
}

BEZANT_ENTRY(hit) {
    /* 02: two fields; 00 03 03 hit: exactly that text; 00 03 length word: exactly the word. */
    int32_t length = bezant_argument_template(asked, sizeof asked);
    if (length < 0 || length > (int32_t)sizeof asked || asked[7] != 0 || asked[8] != 3)
        bezant_refuse(1);
    const uint8_t *word = asked + 9;
    uint32_t word_length = (uint32_t)get_varint(word);
    while (*word++ >= 0x80)
        ;

    uint32_t end = 0;
    wanted[end++] = 3;
    wanted[end++] = 0;
    end += put_text(wanted + end, (const uint8_t *)"hits", 4);
    wanted[end++] = 0;
    end += put_text(wanted + end, word, word_length);
    wanted[end++] = 2;
    wanted[end++] = 2;

    uint8_t *hits = answer + 2;
    int32_t found = bezant_inp(BEZANT_HERE, wanted, end, hits, sizeof answer - 2);
    uint32_t place = 1;
    hits[0] = 3;
    place += put_text(hits + place, (const uint8_t *)"hits", 4);
    place += put_text(hits + place, word, word_length);
    /* The number stands behind its kind; zigzag, so that two more is one more. */
    uint64_t count = found < 0 ? 0 : get_varint(hits + place + 1);
    hits[place++] = 2;
    place += put_varint(hits + place, count + 2);
    bezant_out(BEZANT_HERE, hits, place);
    answer[0] = 1;
    answer[1] = 1;
    bezant_reply(answer, place + 2);
}
