//! Lists of instances: filtered, in pages, and a 404 where there are none (section 5).

use actix_web::{HttpResponse, web};

use super::credentials::{Platform, error};
use super::instances::shown;
use crate::simulator::world::{Instance, Simulation};

pub(super) async fn all(
    _: Platform,
    request: actix_web::HttpRequest,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    page(&request, None, &simulation)
}

pub(super) async fn of_element(
    _: Platform,
    element: web::Path<String>,
    request: actix_web::HttpRequest,
    simulation: web::Data<Simulation>,
) -> HttpResponse {
    page(&request, Some(&element), &simulation)
}

/// `tags[]`, `searchText`, `pageSize`, `nextPage`; the next token is in a header.
fn page(request: &actix_web::HttpRequest, element: Option<&str>, simulation: &Simulation) -> HttpResponse {
    let query: Vec<(String, String)> =
        form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let every = |name: &str| {
        query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let one = |name: &str| every(name).pop();
    let (tags, search) = (every("tags[]"), one("searchText").unwrap_or_default());
    let size = one("pageSize").and_then(|size| size.parse().ok()).unwrap_or(200).clamp(1, 200_usize);
    let after = one("nextPage").and_then(|token| token.parse().ok()).unwrap_or(0_i64);
    let found: Vec<Instance> = simulation.with(|world| {
        let wanted = |instance: &&Instance| {
            tags.iter().all(|tag| instance.tags.contains(tag))
                && element.is_none_or(|element| instance.element == element)
                && (search.is_empty() || instance.name.contains(&search) || instance.element == search)
        };
        world
            .instances
            .range(after + 1..)
            .map(|(_, instance)| instance)
            .filter(wanted)
            .take(size + 1)
            .cloned()
            .collect()
    });
    if found.is_empty() {
        return error(404, "No instances found");
    }
    let mut response = HttpResponse::Ok();
    let last = found.get(size - 1).filter(|_| found.len() > size);
    if let Some(last) = last {
        response.insert_header(("Elements-Next-Page-Token", last.id.to_string()));
    }
    response.json(found.iter().take(size).map(shown).collect::<Vec<_>>())
}
