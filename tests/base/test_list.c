/* The intrusive list. */
#include "weft_test.h"

#include "base/list.h"

struct item {
  int value;
  struct weft__list link;
};

static int value_of(const struct weft__list *node) {
  return node ? weft__container_of(node, const struct item, link)->value : -1;
}

/* The values in order as one number, checked against the way back. */
static long digits(const struct weft__list *head) {
  long forward = 0;
  long backward = 0;
  long unit = 1;
  weft__list_foreach(node, (struct weft__list *)head) forward = forward * 10 + value_of(node);
  for (const struct weft__list *node = head->prev; node != head; node = node->prev) {
    backward += unit * value_of(node);
    unit *= 10;
  }
  CHECK_INT(backward, forward);
  return forward;
}

static void fill(struct weft__list *head, struct item *items, int first, int n) {
  weft__list_init(head);
  for (int i = 0; i < n; i++) {
    items[i].value = first + i;
    weft__list_init(&items[i].link);
    weft__list_push_back(head, &items[i].link);
  }
}

static void a_new_list_is_empty_and_a_new_node_in_no_list(void **state) {
  (void)state;
  struct weft__list head;
  struct item item;
  weft__list_init(&head);
  weft__list_init(&item.link);
  CHECK(weft__list_empty(&head));
  CHECK(!weft__list_linked(&item.link));
  CHECK_PTR(weft__list_first(&head), NULL);
  CHECK_PTR(weft__list_last(&head), NULL);
  CHECK_PTR(weft__list_pop_front(&head), NULL);
  CHECK_PTR(weft__list_pop_back(&head), NULL);
}

static void pushes_keep_their_order_at_both_ends(void **state) {
  (void)state;
  struct weft__list head;
  struct item items[3], front = {.value = 9};
  fill(&head, items, 1, 3);
  weft__list_push_front(&head, &front.link);
  CHECK_INT(digits(&head), 9123);
  CHECK_INT(value_of(weft__list_first(&head)), 9);
  CHECK_INT(value_of(weft__list_last(&head)), 3);
  CHECK_INT(value_of(weft__list_pop_front(&head)), 9);
  CHECK_INT(value_of(weft__list_pop_back(&head)), 3);
  CHECK_INT(digits(&head), 12);
  CHECK(!weft__list_linked(&front.link));
}

static void a_node_leaves_without_its_list_and_a_second_remove_is_harmless(void **state) {
  (void)state;
  struct weft__list head;
  struct item items[3];
  fill(&head, items, 1, 3);
  weft__list_remove(&items[1].link);
  weft__list_remove(&items[1].link);
  CHECK(!weft__list_linked(&items[1].link));
  CHECK_INT(digits(&head), 13);
  weft__list_insert_before(&items[2].link, &items[1].link);
  CHECK_INT(digits(&head), 123);
  weft__list_remove(&items[0].link);
  weft__list_remove(&items[2].link);
  weft__list_remove(&items[1].link);
  CHECK(weft__list_empty(&head));
}

static void append_moves_all_in_order_and_leaves_the_source_empty(void **state) {
  (void)state;
  struct weft__list a, b, empty;
  struct item first[2], second[3];
  fill(&a, first, 1, 2);
  fill(&b, second, 3, 3);
  weft__list_init(&empty);
  weft__list_append(&a, &empty);
  CHECK_INT(digits(&a), 12);
  weft__list_append(&a, &b);
  CHECK_INT(digits(&a), 12345);
  CHECK(weft__list_empty(&b));
  weft__list_append(&empty, &a);
  CHECK_INT(digits(&empty), 12345);
  CHECK(weft__list_empty(&a));
}

static void foreach_safe_allows_unlinking_the_node_it_visits(void **state) {
  (void)state;
  struct weft__list head;
  struct item items[5];
  fill(&head, items, 1, 5);
  weft__list_foreach_safe(node, after, &head) {
    if (value_of(node) % 2 == 0) weft__list_remove(node);
  }
  CHECK_INT(digits(&head), 135);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_new_list_is_empty_and_a_new_node_in_no_list),
    cmocka_unit_test(pushes_keep_their_order_at_both_ends),
    cmocka_unit_test(a_node_leaves_without_its_list_and_a_second_remove_is_harmless),
    cmocka_unit_test(append_moves_all_in_order_and_leaves_the_source_empty),
    cmocka_unit_test(foreach_safe_allows_unlinking_the_node_it_visits),
};

int main(int argc, char **argv) {
  return weft_test_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
