#include "evenkeel/config/sections.h"

#include "evenkeel/base/check.h"

size_t
sections_count(const struct cfg *cfg, enum option_section s)
{
	switch (s) {
	case OPTION_GLOBAL:
		return 1;
	case OPTION_ADMIN:
		return cfg->admin.present;
	case OPTION_LISTENER:
		return cfg->n_listeners;
	case OPTION_ROUTE:
		return cfg->n_routes;
	case OPTION_POOL:
		return cfg->n_pools;
	case OPTION_SECTIONS:
		break;
	}
	return 0;
}

const void *
sections_object(const struct cfg *cfg, enum option_section s, size_t i)
{
	switch (s) {
	case OPTION_ADMIN:
		return &cfg->admin;
	case OPTION_LISTENER:
		return &cfg->listeners[i];
	case OPTION_ROUTE:
		return &cfg->routes[i];
	case OPTION_POOL:
		return &cfg->pools[i];
	case OPTION_GLOBAL:
	case OPTION_SECTIONS:
		break;
	}
	return &cfg->global;
}

const char *
sections_name(const struct cfg *cfg, enum option_section s, size_t i)
{
	switch (s) {
	case OPTION_LISTENER:
		return cfg->listeners[i].name;
	case OPTION_ROUTE:
		return cfg->routes[i].name;
	case OPTION_POOL:
		return cfg->pools[i].name;
	case OPTION_GLOBAL:
	case OPTION_ADMIN:
	case OPTION_SECTIONS:
		break;
	}
	return "";
}

const void *
sections_list(const struct option *o, const void *object, size_t *n)
{
	const void *array;

	CHECK(option_is_list(o));
	memcpy(&array, (const char *)object + o->offset, sizeof(array));
	memcpy(n, (const char *)object + o->offset_count, sizeof(*n));
	return array;
}
