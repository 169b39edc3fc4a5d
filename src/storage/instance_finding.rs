//! Instances as they are looked for. A question of which some part is rare is answered from the rows of that part,
//! exactly; any other by walking an index in the order asked for, so far as one page may. Nothing here counts or
//! sorts a whole table.

use super::instance_order::{InstanceOrder, InstancePlace};
use super::instance_question::{InstanceQuestion, Meaning, Part};
use super::instances::{self, COLUMNS};
use super::statement::Asked;
use super::{Storage, StorageError};
use crate::elements::Instance;

const BOUNDS: Bounds = Bounds { few: 500, looked_through: 5_000 };

/// How far one page may go.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// A part of a question that so many rows fit at most is rare.
    pub(super) few: usize,
    /// So many rows, more than a page has, are looked through where nothing is rare; then the page says so.
    pub(super) looked_through: usize,
}

/// How many there are in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(usize),
    /// Nobody counted on.
    MoreThan(usize),
    /// Nobody counted.
    Unknown,
}

/// Some instances, and where the next ones start.
#[derive(Debug)]
pub struct Found {
    /// In the order asked for.
    pub items: Vec<Instance>,
    /// The next page starts after it, if there may be one.
    pub next: Option<InstancePlace>,
    /// How many the question means.
    pub total: Total,
    /// So many were looked through, and there are more: the bound of one page was reached.
    pub stopped_after: Option<usize>,
}

/// One page of what a question means.
struct Page<'a> {
    meaning: &'a Meaning<'a>,
    after: Option<&'a InstancePlace>,
    limit: usize,
    bounds: Bounds,
}

impl Storage {
    /// The instances that `question` means, in its order, at most `limit` of them, from `after` on.
    pub async fn find_instances(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
    ) -> Result<Found, StorageError> {
        self.find_instances_within(question, after, limit, BOUNDS).await
    }

    pub(super) async fn find_instances_within(
        &self,
        question: &InstanceQuestion,
        after: Option<&InstancePlace>,
        limit: usize,
        bounds: Bounds,
    ) -> Result<Found, StorageError> {
        let meaning = Meaning::of(question);
        let page = Page { meaning: &meaning, after, limit, bounds };
        if meaning.nothing() {
            return Ok(Found::none(Total::Exactly(0)));
        }
        if meaning.anything() {
            let total = self.counted(&Part::Everything, bounds.few).await?;
            return self.walk(&page, page.stretches(), total).await;
        }
        let mut rare: Option<(usize, Part)> = None;
        for part in meaning.parts() {
            let bound = rare.as_ref().map_or(bounds.few, |(count, _)| *count);
            if let Total::Exactly(count) = self.counted(&part, bounds.few).await?
                && count <= bound
            {
                rare = Some((count, part));
            }
        }
        if let Some((_, part)) = rare {
            return self.pick(&page, &part).await;
        }
        let total = if meaning.only_state() { Total::MoreThan(bounds.few) } else { Total::Unknown };
        let stretches = self.stretches(&page).await?;
        self.walk(&page, stretches, total).await
    }

    async fn counted(&self, part: &Part, few: usize) -> Result<Total, StorageError> {
        let sql = format!("SELECT count(*) FROM ({} LIMIT {}) AS few", part.ids(), few + 1);
        let count = self.number(Asked { sql, values: part.bounds() }).await?;
        Ok(if count > few { Total::MoreThan(few) } else { Total::Exactly(count) })
    }

    async fn number(&self, asked: Asked) -> Result<usize, StorageError> {
        let row = asked.rows(&self.readers).await?.pop();
        let count: i64 = row.map_or(Ok(0), |row| sqlx::Row::try_get(&row, 0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    async fn read_instances(&self, asked: Asked) -> Result<Vec<Instance>, StorageError> {
        asked.rows(&self.readers).await?.iter().map(instances::read).collect()
    }

    /// Those with the ids, as `end` says.
    async fn instances_of(&self, ids: Asked, end: &str) -> Result<Vec<Instance>, StorageError> {
        let sql = format!("SELECT {COLUMNS} FROM instances WHERE id IN ({}) {end}", ids.sql);
        self.read_instances(Asked { sql, ..ids }).await
    }

    /// Out of the rows of a rare part.
    async fn pick(&self, page: &Page<'_>, part: &Part) -> Result<Found, StorageError> {
        let (order, limit) = (page.meaning.order(), page.limit);
        let mut count = page.meaning.among(part.rows(), Some(part));
        count.sql = format!("SELECT count(*) FROM ({}) AS meant", count.sql);
        let mut found = Found::none(Total::Exactly(self.number(count).await?));
        let mut meant = page.meaning.among(part.rows(), Some(part));
        let after = page.after.map(|after| format!("AND {}", order.is_after(after, &mut meant)));
        let end = format!("{} {} LIMIT {}", after.unwrap_or_default(), order.in_order(), limit + 1);
        found.items = self.instances_of(meant, &end).await?;
        found.cut(page);
        Ok(found)
    }

    /// What is to be walked: an index in the order asked for, or what was not heard of for long, where that is not much
    /// more than one page looks through.
    async fn stretches(&self, page: &Page<'_>) -> Result<Vec<Asked>, StorageError> {
        let most = page.bounds.looked_through;
        if let Some(unheard) = page.meaning.unheard()
            && page.meaning.order().is_of_ids_in_one_state()
            && let Total::Exactly(_) = self.counted(&unheard, most).await?
        {
            return Ok(vec![InstanceOrder::out_of(&unheard, most, page.after)]);
        }
        Ok(page.stretches())
    }

    /// Along an index.
    async fn walk(
        &self,
        page: &Page<'_>,
        stretches: Vec<Asked>,
        total: Total,
    ) -> Result<Found, StorageError> {
        let (order, most) = (page.meaning.order(), page.bounds.looked_through);
        let mut found = Found::none(total);
        for stretch in stretches {
            let limit = page.limit + 1 - found.items.len();
            found.items.extend(self.meant_of(page, stretch.clone(), limit).await?);
            if found.cut(page) {
                return Ok(found);
            }
            if !page.meaning.anything()
                && let Some(last) = self.nth(most, stretch).await?
            {
                found.next = Some(order.place(&last));
                found.stopped_after = Some(most);
                return Ok(found);
            }
        }
        Ok(found)
    }

    async fn meant_of(
        &self,
        page: &Page<'_>,
        stretch: Asked,
        limit: usize,
    ) -> Result<Vec<Instance>, StorageError> {
        if page.is_all_of_a_stretch() {
            let sql = format!("SELECT {COLUMNS} {} LIMIT {limit}", stretch.sql);
            return self.read_instances(Asked { sql, ..stretch }).await;
        }
        let sql = format!("SELECT id, marks {} LIMIT {}", stretch.sql, page.bounds.looked_through);
        let mut ids = page.meaning.among(Asked { sql, ..stretch }, None);
        ids.end(&format!("LIMIT {limit}"));
        self.instances_of(ids, &page.meaning.order().in_order()).await
    }

    /// Where looking through a stretch stopped, if it has so many.
    async fn nth(&self, number: usize, stretch: Asked) -> Result<Option<Instance>, StorageError> {
        let sql = format!("SELECT id {} LIMIT 1 OFFSET {}", stretch.sql, number - 1);
        Ok(self.instances_of(Asked { sql, ..stretch }, "").await?.pop())
    }
}

impl Page<'_> {
    /// Whether nothing is asked that the stretches do not decide.
    fn is_all_of_a_stretch(&self) -> bool {
        let decided = self.meaning.anything() || self.meaning.order().is_of_ids_in_one_state();
        self.meaning.only_state() && decided
    }

    fn stretches(&self) -> Vec<Asked> {
        self.meaning.order().stretches(self.meaning.state(), self.after)
    }
}

impl Found {
    fn none(total: Total) -> Self {
        Self { items: Vec::new(), next: None, total, stopped_after: None }
    }

    /// Leaves as many as a page has, and answers whether there are more.
    fn cut(&mut self, page: &Page<'_>) -> bool {
        let more = self.items.len() > page.limit;
        self.items.truncate(page.limit);
        self.next = self.items.last().filter(|_| more).map(|last| page.meaning.order().place(last));
        more
    }
}
