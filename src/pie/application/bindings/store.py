"""`pie:inferlet/store`: the tenant's key-value store. The program waits while the store's thread works."""

from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.application.store import check_key


@suspends
def store_get(guest: Guest, key: str) -> object:
    store = guest.services.store
    return guest.in_thread(store.get, guest.tenant, key, executor=store.thread)


@suspends
def store_set(guest: Guest, key: str, value: str) -> object:
    check_key(key)
    guest.check_size("a value", len(value))
    store = guest.services.store
    return guest.in_thread(store.set, guest.tenant, key, value, executor=store.thread)


@suspends
def store_delete(guest: Guest, key: str) -> object:
    store = guest.services.store
    return guest.in_thread(store.delete, guest.tenant, key, executor=store.thread)


@suspends
def store_exists(guest: Guest, key: str) -> object:
    store = guest.services.store
    return guest.in_thread(store.exists, guest.tenant, key, executor=store.thread)


@suspends
def store_list_keys(guest: Guest, prefix: str) -> object:
    store = guest.services.store
    return guest.in_thread(store.keys, guest.tenant, prefix, executor=store.thread)


FUNCTIONS = (store_get, store_set, store_delete, store_exists, store_list_keys)
