/* The autoregressive loop in raw calls, in C: what inferlets/raw-completion does, without a line of Python. */
#include <stdlib.h>
#include <string.h>

#include "pie.h"

static pie_result_string_string outcome;

/* Memory that the host asks for when it returns lists and texts. */
__attribute__((export_name("cabi_realloc")))
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size, (void)align;
  return size ? realloc(old, size) : (void *)align;
}

static pie_string text(const char *words) { return (pie_string){(char *)words, strlen(words)}; }

static void *fail(pie_string message) {
  outcome.failed = true;
  outcome.error = message;
  return &outcome;
}

/* Unpacks a result; an error of the host ends `run` with its message. */
#define TRY(call) ({ __typeof__(call) tried = (call); if (tried.failed) return fail(tried.error.message); tried; })

static pie_list_u32 range(uint32_t first, uint32_t end) {
  pie_list_u32 list = {malloc((end - first) * sizeof(uint32_t) + 1), end - first};
  for (uint32_t i = first; i < end; i++) list.data[i - first] = i;
  return list;
}

static pie_list_u32 slice(pie_list_u32 list, size_t first, size_t end) {
  return (pie_list_u32){list.data + first, end - first};
}

static bool contains(pie_list_u32 list, uint32_t wanted) {
  for (size_t i = 0; i < list.size; i++)
    if (list.data[i] == wanted) return true;
  return false;
}

/* The value after `name` among the launch arguments: `--prompt TEXT`. */
static pie_string option(pie_list_string args, const char *name, const char *otherwise) {
  for (size_t i = 0; i + 1 < args.size; i++)
    if (args.data[i].size == strlen(name) && !memcmp(args.data[i].data, name, strlen(name)))
      return args.data[i + 1];
  return text(otherwise);
}

static uint32_t number(pie_string digits) {
  uint32_t value = 0;
  for (size_t i = 0; i < digits.size; i++) value = value * 10 + (uint32_t)(digits.data[i] - '0');
  return value;
}

/* The world's export `run`; a result with more than one part is returned by its address. */
__attribute__((export_name("run")))
void *run(void) {
  pie_list_string args = pie_get_arg();
  uint32_t max_tokens = number(option(args, "--max-tokens", "32"));
  pie_model_info model = pie_available_models().data[0];
  uint32_t queue = TRY(pie_create_queue(model.name)).ok, size = model.page_size;
  pie_list_u32 tokens = TRY(pie_tokenize(model.name, option(args, "--prompt", "Once upon a time"))).ok;
  if (!tokens.size) return fail(text("--prompt needs a text"));

  /* One page for `size` tokens, one embedding for each token of the prompt, and one for the output. */
  uint32_t prompt = tokens.size, output = prompt;
  pie_list_u32 pages = range(0, (prompt + max_tokens + size - 1) / size), embs = range(0, prompt + 1);
  TRY(pie_alloc_kvpage(queue, pages));
  TRY(pie_alloc_emb(queue, embs));

  pie_list_u32 positions = range(0, prompt + max_tokens), reply = range(0, max_tokens), none = {0};
  pie_list_u32 result = {&output, 1};
  uint32_t position = 0, count = 0;
  for (; count < max_tokens; count++) {
    uint32_t end = position + tokens.size;
    pie_list_u32 inputs = slice(embs, 0, tokens.size);
    TRY(pie_embed_txt(queue, tokens, slice(positions, position, end), inputs));
    pie_list_u32 seen = slice(pages, 0, (position + size - 1) / size);
    pie_list_u32 written = slice(pages, position / size, (end + size - 1) / size);
    TRY(pie_forward(queue, seen, inputs, written, position % size, result, none, (pie_option_mask){0}));
    uint32_t dist = TRY(pie_get_next_dist(queue, output, 1, none)).ok;
    TRY(pie_wait(dist));
    reply.data[count] = TRY(pie_dist_max_index(dist)).ok;
    pie_drop((pie_list_u32){&dist, 1});
    if (contains(model.stop_tokens, reply.data[count])) break;
    position = end;
    tokens = (pie_list_u32){&reply.data[count], 1};
  }

  TRY(pie_send(TRY(pie_detokenize(model.name, slice(reply, 0, count))).ok));
  TRY(pie_dealloc_emb(queue, embs));
  TRY(pie_dealloc_kvpage(queue, pages));
  outcome.ok = text("");
  return &outcome;
}
